import { DIGEST, REVISION, readDescriptorSet } from './gen/identity.ts';

/** What a service answers on `GET /contract`: who it is and which contract it was built from. */
export const describeContract = (service: string, version: string) => ({
  service,
  language: 'typescript',
  version,
  revision: REVISION,
  digest: DIGEST,
  descriptorSet: readDescriptorSet().toString('base64'),
});
