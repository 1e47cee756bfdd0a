/** The key of a page. All keys have the same length, so that all entries take the same memory. */
export const pageKey = (page: number): string => `page-${page.toString().padStart(11, '0')}`;

export const pagePath = (namespace: string, page: number): string => `/v1/cache/${namespace}/${pageKey(page)}`;

export const pageUrl = (gatewayUrl: string, namespace: string, page: number): string =>
  `${gatewayUrl}${pagePath(namespace, page)}`;

/** A JSON document of exactly `bytes` bytes (at least 40) that says which page it is, so that a wrong answer is seen. */
export const pageValue = (page: number, bytes: number): string => {
  const head = `{"key":"${pageKey(page)}","data":"`;
  return `${head}${'x'.repeat(Math.max(0, bytes - head.length - 2))}"}`;
};

export const isValueOf = (page: number, body: string): boolean => body.startsWith(`{"key":"${pageKey(page)}",`);
