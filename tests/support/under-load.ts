// Something that is done to a platform while requests go through its fixed address, each of them judged.
import { type LoadOptions, type LoadReport, type Platform, startLoad } from '../../orchestrator/src/index.ts';

export const underLoad = async (
  platform: Platform,
  options: Omit<LoadOptions, 'urls'>,
  work: () => Promise<void>,
): Promise<LoadReport> => {
  const load = startLoad({ urls: [`http://${platform.endpoint('gateway.http')}`], keys: 200, ...options });
  await load.ready;
  try {
    await work();
  } finally {
    await load.stop();
  }
  return load.stop();
};
