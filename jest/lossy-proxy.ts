import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A way to a MongoDB that loses answers (the command was carried out, and whoever sent it never learns so) and delays requests. */
export interface LossyProxy {
  /** For a client that goes this way only. */
  readonly uri: string;
  /** Breaks the connection in place of the next answers to a command. */
  loseAnswers(command: string, times: number): void;
  /** How many answers were lost. */
  readonly lost: number;
  /** Keeps back requests that contain this text until `release`; all others go through. */
  hold(text: string): void;
  /** How many requests are kept back. */
  readonly held: number;
  release(): void;
  stop(): Promise<void>;
}

/** Starts a proxy to the MongoDB at `uri`, which is on loopback. */
export async function startLossyProxy(uri: string): Promise<LossyProxy> {
  const proxy = new Proxy(Number(new URL(uri).port));
  await proxy.listen();
  return proxy;
}

class Proxy implements LossyProxy {
  lost = 0;
  readonly #server = createServer((client) => this.#relay(client));
  readonly #sockets = new Set<Socket>();
  #command = '';
  #times = 0;
  #heldText: string | undefined;
  #held: (() => void)[] = [];

  constructor(readonly port: number) {}

  get uri(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `mongodb://127.0.0.1:${port}/?directConnection=true`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  loseAnswers(command: string, times: number): void {
    this.#command = command;
    this.#times = times;
    this.lost = 0;
  }

  get held(): number {
    return this.#held.length;
  }

  hold(text: string): void {
    this.#heldText = text;
  }

  release(): void {
    this.#heldText = undefined;
    for (const forward of this.#held.splice(0)) forward();
  }

  async stop(): Promise<void> {
    this.#sockets.forEach((socket) => socket.destroy());
    this.#server.close();
    await once(this.#server, 'close');
  }

  #relay(client: Socket): void {
    const server = connect(this.port, '127.0.0.1');
    let isDoomed = false;
    client.on('data', (request: Buffer) => {
      // A client has one command under way on a connection; its name is the first key of what it sends.
      if (this.#times > 0 && firstKey(request) === this.#command) {
        isDoomed = true;
        this.#times -= 1;
      }
      if (this.#heldText !== undefined && request.includes(this.#heldText)) {
        this.#held.push(() => server.write(request));
        return;
      }
      server.write(request);
    });
    server.on('data', (answer: Buffer) => {
      if (!isDoomed) {
        client.write(answer);
        return;
      }
      isDoomed = false;
      this.lost += 1;
      client.destroy();
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }
}

/** The name of the command that a wire message (OP_MSG with its document first) begins with. */
function firstKey(message: Buffer): string {
  const start = 16 + 4 + 1 + 4 + 1;
  return message.subarray(start, message.indexOf(0, start)).toString('latin1');
}
