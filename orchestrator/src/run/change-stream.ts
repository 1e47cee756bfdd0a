import type { FastifyReply } from 'fastify';
import { toOrchestratorError } from '../errors.ts';

/** One change that is under way, for whoever wants to abort it. */
export class CurrentChange {
  #controller: AbortController | undefined;

  abort(): boolean {
    this.#controller?.abort();
    return this.#controller !== undefined;
  }

  /**
   * Answers with a line of JSON for each `{event}` and, last, `{result}` or `{error}`. A client that goes away aborts
   * the change: nobody would see how it ends.
   */
  async stream<Event, Result>(
    reply: FastifyReply,
    work: (signal: AbortSignal, onEvent: (event: Event) => void) => Promise<Result>,
  ): Promise<void> {
    const controller = new AbortController();
    this.#controller ??= controller;
    const response = reply.hijack().raw;
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    response.flushHeaders();
    response.on('close', () => controller.abort());
    const write = (line: object): void => void response.write(`${JSON.stringify(line)}\n`);
    try {
      write({ result: await work(controller.signal, (event) => write({ event })) });
    } catch (thrown) {
      const { code, message, details } = toOrchestratorError(thrown);
      write({ error: { code, message, details } });
    } finally {
      if (this.#controller === controller) this.#controller = undefined;
      response.end();
    }
  }
}
