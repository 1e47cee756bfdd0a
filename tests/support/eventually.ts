/** Tries until it does not throw, every 10 ms, for at most `timeoutMs`; then throws what it threw last. */
export const eventually = async <Result>(
  attempt: () => Promise<Result> | Result,
  timeoutMs = 5_000,
): Promise<Result> => {
  const end = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
};
