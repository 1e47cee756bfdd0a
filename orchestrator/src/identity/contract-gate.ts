import { DIGEST, REVISION, readDescriptorSet } from '../../../contract/ts/gen/identity.ts';
import type { Instance } from '../drivers/instance.ts';
import { checkContracts } from './check.ts';
import { fetchIdentity, type Identity } from './identity.ts';

/** Our own contract: we speak it to the nodes, so it has to fit as well. */
const ownIdentity = (): Identity => ({
  service: 'orchestrator',
  language: 'typescript',
  version: '',
  revision: REVISION,
  digest: DIGEST,
  descriptorSet: readDescriptorSet().toString('base64'),
});

/** Lets instances in as they start, as long as the contracts of all fit together. */
export class ContractGate {
  readonly #admitted = new Map<string, Identity>([['orchestrator', ownIdentity()]]);
  #remarks: readonly string[] = [];

  /** Throws CONTRACT_MISMATCH. */
  async admit(arriving: readonly Pick<Instance, 'name' | 'probeUrl'>[]): Promise<void> {
    const arrived = await Promise.all(
      arriving.map(async ({ name, probeUrl }) => [name, await fetchIdentity(name, probeUrl)] as const),
    );
    this.#remarks = checkContracts(new Map([...this.#admitted, ...arrived]));
    for (const [name, identity] of arrived) this.#admitted.set(name, identity);
  }

  /** Who lacks something harmless. */
  get remarks(): readonly string[] {
    return this.#remarks;
  }
}
