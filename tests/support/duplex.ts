// A bidirectional stream as messages that can be awaited.
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';

export class Duplex<Request, Response> implements Disposable {
  readonly #stream: ClientDuplexStream<Request, Response>;
  readonly #arrived: Response[] = [];
  #error: ServiceError | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(stream: ClientDuplexStream<Request, Response>) {
    this.#stream = stream;
    stream.on('data', (message: Response) => {
      this.#arrived.push(message);
      this.#wake?.();
    });
    stream.on('error', (error: ServiceError) => {
      this.#error = error;
      this.#wake?.();
    });
    stream.on('end', () => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  send(message: Request): void {
    this.#stream.write(message);
  }

  /** Says that nothing more will be sent. */
  end(): void {
    this.#stream.end();
  }

  /** The next message that fits, in order; those before it are dropped. Throws the stream's error, or after `timeoutMs`. */
  async next<Fit extends Response>(fits: (message: Response) => message is Fit, timeoutMs?: number): Promise<Fit>;
  async next(fits?: (message: Response) => boolean, timeoutMs?: number): Promise<Response>;
  async next(fits: (message: Response) => boolean = () => true, timeoutMs = 5_000): Promise<Response> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      for (let message = this.#arrived.shift(); message !== undefined; message = this.#arrived.shift()) {
        if (fits(message)) return message;
      }
      if (this.#error) throw this.#error;
      if (this.#ended) throw new Error('the stream ended');
      const left = end - performance.now();
      if (left <= 0) throw new Error(`no such message within ${timeoutMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  [Symbol.dispose](): void {
    this.#stream.on('error', () => {});
    this.#stream.cancel();
  }
}
