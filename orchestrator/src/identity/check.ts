import { OrchestratorError } from '../errors.ts';
import { compareContracts, type Side } from './compare.ts';
import type { Identity } from './identity.ts';

/** How many differing elements an error names. */
const namedElements = 20;

/**
 * Compares everybody with everybody, once for each pair of different contracts. Returns the remarks about services
 * that lack something harmless; throws CONTRACT_MISMATCH about those that do not fit together.
 */
export const checkContracts = (identities: ReadonlyMap<string, Identity>): string[] => {
  const byDigest = Map.groupBy(identities, ([, { digest }]) => digest);
  const sides = [...byDigest.values()].flatMap((group): Side[] => {
    const first = group[0]?.[1];
    if (!first) return [];
    return [
      {
        name: `${describeGroup(group)}, revision ${first.revision}`,
        revision: first.revision,
        digest: first.digest,
        descriptorSet: Buffer.from(first.descriptorSet, 'base64'),
      },
    ];
  });
  return sides.flatMap((side, i) => sides.slice(i + 1).flatMap((other) => judge(side, other)));
};

/** "orchestrator (typescript), cache-0, cache-1 (rust)" */
const describeGroup = (group: readonly (readonly [string, Identity])[]): string =>
  [...Map.groupBy(group, ([, { language }]) => language)]
    .map(([language, members]) => `${members.map(([name]) => name).join(', ')} (${language})`)
    .join(', ');

const judge = (a: Side, b: Side): string[] => {
  const result = compareContracts(a, b);
  switch (result.kind) {
    case 'equal':
      return [];
    case 'compatible':
      return [`${result.older} has an older contract, which fits; it lacks ${result.lacks.join(', ') || 'no element'}`];
    case 'breaking': {
      const side = result.older
        ? `The older side is ${result.older}: build it again from the same contract.`
        : 'Both say that they are of the same revision: one was changed without raising contract_revision.';
      const shown = result.differences.slice(0, namedElements);
      const more = result.differences.length - shown.length;
      throw new OrchestratorError(
        'CONTRACT_MISMATCH',
        `CONTRACT_MISMATCH between ${a.name} and ${b.name}: ${shown[0] ?? 'unknown'}. ${side}`,
        { details: [...shown, ...(more > 0 ? [`… and ${more} more`] : [])].map((line) => `- ${line}`).join('\n') },
      );
    }
  }
};
