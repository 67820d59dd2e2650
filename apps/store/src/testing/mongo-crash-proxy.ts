import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Binary, type MongoClient } from 'mongodb';
import { crashedBy, splitMessages, stepOf, type CrashPlan } from './model-crash-plan.js';

/** Longer than a command of a cut connection takes. */
const LANDING_MS = 100;

/**
 * Stands between one store process and the database, and cuts all its connections at a planned command, so that the
 * database sees what it sees when that process is killed there.
 */
export class MongoCrashProxy {
  /** Where a planned crash happened; set once. */
  landed: string | undefined;
  dead = false;
  /** The next crash; undefined for none. */
  plan: CrashPlan | undefined;
  onCrash: (() => void) | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Map<string, Buffer>();
  /** The request whose answer is not to come through any more. */
  #awaited: { readonly id: number; readonly label: string } | undefined;

  private constructor(
    readonly server: Server,
    readonly target: { readonly host: string; readonly port: number },
  ) {}

  /** Listens in front of a replica set's one member. */
  static async start(uri: string): Promise<MongoCrashProxy> {
    const { hostname: host, port } = new URL(uri);
    const server = createServer({ noDelay: true });
    const proxy = new MongoCrashProxy(server, { host, port: Number(port) });
    server.on('connection', (socket) => proxy.#relay(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  /** Address of the database through this proxy. */
  get uri(): string {
    return `mongodb://127.0.0.1:${(this.server.address() as AddressInfo).port}/?directConnection=true`;
  }

  /** Cuts every connection, for good. */
  kill(): void {
    if (this.dead) return;
    this.dead = true;
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
    this.onCrash?.();
  }

  /** Ends what the process left open in the database, as the database itself does some time after a process was killed. */
  async reap(client: MongoClient): Promise<void> {
    const sessions = [...this.#sessions.values()].map((id) => ({ id: new Binary(id, Binary.SUBTYPE_UUID) }));
    if (sessions.length === 0) return;
    await client.db('admin').command({ killSessions: sessions });
    // A command that was on its way then may have begun a transaction since.
    await sleep(LANDING_MS);
    await client.db('admin').command({ killSessions: sessions });
  }

  #relay(client: Socket): void {
    const upstream = connect({ ...this.target, noDelay: true });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      // Either side may go at any time; the other one then has nobody to talk to.
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    client.on(
      'data',
      splitMessages((message) => this.#toDatabase(upstream, message)),
    );
    upstream.on(
      'data',
      splitMessages((message) => this.#toProcess(client, message)),
    );
  }

  #toDatabase(upstream: Socket, message: Buffer): void {
    if (this.dead) return;
    const step = stepOf(message);
    if (step?.session) this.#sessions.set(step.session.toString('hex'), step.session);
    const { plan } = this;
    if (step === undefined || plan === undefined || !crashedBy(plan, step)) {
      upstream.write(message);
      return;
    }
    this.plan = plan.skip > 0 ? { ...plan, skip: plan.skip - 1 } : undefined;
    if (plan.skip > 0) {
      upstream.write(message);
      return;
    }
    if (plan.when === 'before') {
      this.#crash(`before ${step.label}`);
      return;
    }
    this.#awaited = { id: step.id, label: `after ${step.label}` };
    upstream.write(message);
  }

  #toProcess(client: Socket, message: Buffer): void {
    if (this.dead) return;
    if (this.#awaited !== undefined && message.readInt32LE(8) === this.#awaited.id)
      this.#crash(this.#awaited.label);
    else client.write(message);
  }

  #crash(label: string): void {
    this.landed = label;
    this.kill();
  }
}
