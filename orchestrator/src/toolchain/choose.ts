import type { DriverKind } from '../drivers/driver.ts';
import { OrchestratorError } from '../errors.ts';
import { detectCompose, detectEngine, detectGo, detectRust, type Tool } from './detect.ts';

export interface Choice {
  readonly driver: DriverKind;
  /** For people: why this one. */
  readonly reason: string;
}

/** One sentence about what is missing and what helps. */
export const sentenceOf = ({ name, wanted, found, mend }: Tool): string =>
  found === undefined
    ? `${name} ${wanted} or newer is not on this machine: ${mend}.`
    : `${name} ${found} is too old, ${wanted} is needed: ${mend}.`;

const describe = (tools: readonly Tool[]): string => tools.map(({ name, found }) => `${name} ${found}`).join(', ');

/** Native processes where Go and Rust are there, else containers where an engine answers. */
export const chooseDriver = async (wish: DriverKind | undefined): Promise<Choice> => {
  if (wish !== 'container') {
    const native = await Promise.all([detectGo(), detectRust()]);
    const missing = native.filter(({ ok }) => !ok);
    if (missing.length === 0) return { driver: 'process', reason: describe(native) };
    if (wish === 'process') throw missingTools(missing);
    const engine = await detectContainers();
    if (engine.every(({ ok }) => ok)) {
      return {
        driver: 'container',
        reason: `${describe(engine)}; for native processes: ${missing.map(sentenceOf).join(' ')}`,
      };
    }
    throw missingTools([...missing, ...engine.filter(({ ok }) => !ok)]);
  }
  const engine = await detectContainers();
  const missing = engine.filter(({ ok }) => !ok);
  if (missing.length === 0) return { driver: 'container', reason: describe(engine) };
  throw new OrchestratorError('NO_ENGINE', missing.map(sentenceOf).join('\n'));
};

const detectContainers = (): Promise<Tool[]> => Promise.all([detectEngine(), detectCompose()]);

const missingTools = (missing: readonly Tool[]): OrchestratorError =>
  new OrchestratorError('TOOLCHAIN_MISSING', missing.map(sentenceOf).join('\n'));
