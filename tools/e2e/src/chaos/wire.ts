import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A stretch of wire between a client and a server: what the client sends can be held, as if it were still on its way. */
export class Wire {
  /** Bytes that arrived here while the wire was held, and have not gone on. */
  held = 0;
  readonly #sockets = new Set<Socket>();
  #waiting: (() => void)[] = [];
  #isHeld = false;

  private constructor(private readonly server: Server) {}

  /** A wire to a server's address. */
  static async to(target: string): Promise<Wire> {
    const [host, port] = target.split(':');
    const server = createServer();
    const wire = new Wire(server);
    server.on('connection', (client) => wire.#join(client, connect(Number(port), host)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return wire;
  }

  /** What the client connects to. */
  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Holds what comes from the client from now on. */
  hold(): void {
    this.#isHeld = true;
  }

  /** Lets what was held go on, and all that comes after it. */
  release(): void {
    this.#isHeld = false;
    this.held = 0;
    for (const send of this.#waiting.splice(0)) send();
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #join(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      // Either end may break off, as the processes behind them are killed.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    server.pipe(client);
    client.on('data', (bytes) => {
      if (!this.#isHeld) return void server.write(bytes);
      this.held += bytes.length;
      this.#waiting.push(() => server.write(bytes));
    });
  }
}
