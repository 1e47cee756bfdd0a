import type { FastifyBaseLogger } from 'fastify';

export type Cached<Value> = { readonly value: Value; readonly from: 'hit' | 'miss' };

/**
 * Reads a JSON value through the gateway; on a miss computes it and stores it for `ttlSeconds`. A gateway that is away
 * or refuses makes this slow, not broken.
 */
export const cacheAside = async <Value>(
  url: string,
  ttlSeconds: number,
  compute: () => Promise<Value>,
  log: FastifyBaseLogger,
): Promise<Cached<Value>> => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    if (response.ok) return { value: (await response.json()) as Value, from: 'hit' };
    await response.body?.cancel();
  } catch (error) {
    log.warn({ err: error, url }, 'the gateway did not answer: computing without the cache');
    return { value: await compute(), from: 'miss' };
  }
  const value = await compute();
  await fetch(url, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', 'cache-control': `max-age=${ttlSeconds}` },
    body: JSON.stringify(value),
    signal: AbortSignal.timeout(1_000),
  }).then(
    async (response) => {
      if (!response.ok)
        log.warn({ status: response.status, problem: await response.text() }, 'the value was not stored');
    },
    (error: unknown) => log.warn({ err: error, url }, 'the value was not stored'),
  );
  return { value, from: 'miss' };
};
