// A TCP link between two processes that can be made to fail as networks do. (Toxiproxy, which does the same, is a program
// of its own that no package registry has.)
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * - `through`: every byte, at once
 * - `slow`: every chunk `delayMs` later, in each direction
 * - `silent`: a partition without a goodbye: nothing arrives any more, and nobody is told
 * - `cut`: connections are reset, new ones as well
 * - `garbage`: what comes back is `garbageBytes` of noise, the same ones for the same seed
 */
export type LinkFault = 'through' | 'slow' | 'silent' | 'cut' | 'garbage';

const garbageBytes = 64 * 1024;

export class FaultyLink implements AsyncDisposable {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #sockets = new Set<Socket>();
  #fault: LinkFault = 'through';
  #delayMs = 0;
  #random: () => number = Math.random;

  private constructor(server: Server, target: string) {
    const { hostname, port } = new URL(`tcp://${target}`);
    this.#server = server;
    this.#target = { host: hostname, port: Number(port) };
    server.on('connection', (caller) => this.#link(caller));
  }

  static async to(target: string): Promise<FaultyLink> {
    // Half a connection stays open when the other half ends, as on a wire.
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultyLink(server, target);
  }

  /** HOST:PORT to call in place of the target. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  set(fault: LinkFault, { delayMs = 0, random = Math.random } = {}): void {
    this.#fault = fault;
    this.#delayMs = delayMs;
    this.#random = random;
    if (fault === 'cut') this.#reset();
  }

  /** Back to health, with new connections: on the old ones bytes are missing, or still on their way. */
  heal(): void {
    this.#reset();
    this.set('through');
  }

  #reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #link(caller: Socket): void {
    if (this.#fault === 'cut') {
      caller.on('error', () => {});
      caller.resetAndDestroy();
      return;
    }
    const called = connect({ ...this.#target, allowHalfOpen: true });
    this.#pipe(caller, called, (chunk) => chunk);
    this.#pipe(called, caller, (chunk) => (this.#fault === 'garbage' ? this.#noise() : chunk));
  }

  #pipe(from: Socket, to: Socket, spoil: (chunk: Buffer) => Buffer): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on('error', () => to.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    const pass = (act: () => void): void => {
      if (this.#fault === 'silent') return;
      if (this.#fault === 'slow') setTimeout(act, this.#delayMs);
      else act();
    };
    from.on('data', (chunk) =>
      pass(() => {
        if (!to.writable || to.write(spoil(chunk))) return;
        from.pause();
        to.once('drain', () => from.resume());
      }),
    );
    from.on('end', () => pass(() => to.end()));
  }

  #noise(): Buffer {
    return Buffer.from(Array.from({ length: garbageBytes }, () => Math.floor(this.#random() * 256)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#reset();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
