// "Who may" of the contract, for HTTP listeners that ask nobody who they are.
import { isIP } from 'node:net';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

const isLoopback = (host: string): boolean => {
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  return (isIP(host) === 4 && host.startsWith('127.')) || host === '::1';
};

/** The host of `HOST`, `HOST:PORT` or `[IPv6]:PORT`, in small letters. */
const hostOf = (authority: string): string => {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(authority.toLowerCase()) ?? [];
  return bracketed ?? plain ?? '';
};

const all = (field: string | string[] | undefined): readonly string[] =>
  field === undefined ? [] : typeof field === 'string' ? [field] : field;

/**
 * Why a request may come from a page of another origin, as a sentence, or undefined: a Host that is neither loopback nor
 * allowed (DNS rebinding), a foreign Origin, or `Sec-Fetch-Site: cross-site`.
 */
export const foreignRequest = (headers: Headers, allowedHosts: readonly string[] = []): string | undefined => {
  const mayBe = (authority: string): boolean => {
    const host = hostOf(authority);
    return isLoopback(host) || allowedHosts.includes(host);
  };
  const [host = ''] = all(headers['host']);
  if (!mayBe(host)) return `The host "${host}" is neither loopback nor among the allowed hosts.`;
  for (const origin of all(headers['origin'])) {
    const authority = URL.canParse(origin) ? new URL(origin).host : '';
    if (!mayBe(authority)) return `Requests from the origin "${origin}" are refused.`;
  }
  return all(headers['sec-fetch-site']).includes('cross-site') ? 'Cross-site requests are refused.' : undefined;
};

/** Whether nobody but this machine can reach an address (`HOST:PORT`) that is listened on. */
export const isLoopbackAddress = (address: string): boolean => isLoopback(hostOf(address));
