/** A Ctrl-C may arrive from the terminal, npm and the bootstrap: within this time they are one. */
const sameSignalMs = 500;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Interrupts {
  /** Aborted by the first signal. */
  readonly first: AbortSignal;
  readonly dispose: () => void;
}

/** Watches for the wish to stop; `onLater` is called for a signal that is not the first one repeated. */
export const watchInterrupts = (onLater: () => void, now: () => number = Date.now): Interrupts => {
  const controller = new AbortController();
  let firstAt: number | undefined;
  const onSignal = (): void => {
    if (firstAt === undefined) {
      firstAt = now();
      controller.abort(new Error('interrupted'));
    } else if (now() - firstAt > sameSignalMs) {
      onLater();
    }
  };
  for (const signal of signals) process.on(signal, onSignal);
  return {
    first: controller.signal,
    dispose: () => {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
};
