import { OrchestratorError } from '../errors.ts';
import { Counter } from './counter.ts';
import type { Settings, Skew } from './options.ts';
import { pickerOf } from './random.ts';
import { Register } from './register.ts';

/** Where a key is, and what is known of it. */
export interface Place<Cell extends Register | Counter = Register | Counter> {
  readonly namespace: string;
  readonly path: string;
  readonly cell: Cell;
}

const oneCounterIn = 10;
/** So many keys that are not accepted, one after the other, mean that none ever is. */
const maxRefused = 100_000;
/** How many neighbours of a key whose write is on its way are tried for another write. */
const maxProbes = 64;

const weightsOf = (skew: Skew, count: number): number[] =>
  Array.from({ length: count }, (_, rank) => (skew.kind === 'uniform' ? 1 : (rank + 1) ** -skew.exponent));

/** The keys of one load: no other load uses any of them. */
export class Keyspace {
  readonly #settings: Pick<Settings, 'namespaces' | 'accepts'>;
  readonly #writer: string;
  readonly #random: () => number;
  readonly #registers: Place<Register>[];
  readonly #counters: Place<Counter>[];
  readonly #pickRegister: () => number;
  readonly #pickCounter: () => number;
  /** Keys that were given up and still hold an entry, perhaps. */
  readonly #worn: string[] = [];
  #named = 0;

  constructor(settings: Settings, writer: string, random: () => number) {
    this.#settings = settings;
    this.#writer = writer;
    this.#random = random;
    const counters = settings.mix.increment > 0 ? Math.ceil(settings.keys / oneCounterIn) : 0;
    const registers = settings.keys - counters;
    this.#counters = Array.from({ length: counters }, () => this.#place((key) => new Counter(key)));
    this.#registers = Array.from({ length: registers }, () => this.#place((key) => new Register(key, writer)));
    this.#pickRegister = pickerOf(weightsOf(settings.skew, registers), random);
    this.#pickCounter = pickerOf(weightsOf(settings.skew, Math.max(1, counters)), random);
  }

  get registers(): readonly Place<Register>[] {
    return this.#registers;
  }

  get all(): readonly Place[] {
    return [...this.#registers, ...this.#counters];
  }

  /** Of everything that may hold an entry. */
  get paths(): readonly string[] {
    return [...this.all.map(({ path }) => path), ...this.#worn];
  }

  toRead(): Place {
    const share = this.#counters.length / (this.#counters.length + this.#registers.length);
    const place = this.#random() < share ? this.#counters[this.#pickCounter()] : this.#registers[this.#pickRegister()];
    if (place === undefined) throw new Error('there is no key to read');
    return place;
  }

  /** A key without a write on its way, or undefined when that is hard to find. */
  toWrite(): Place<Register> | undefined {
    const place = free(this.#registers, this.#pickRegister());
    return place?.cell.isWorn ? this.#renew(place) : place;
  }

  toIncrement(): Place<Counter> | undefined {
    return free(this.#counters, this.#pickCounter());
  }

  #renew(old: Place<Register>): Place<Register> {
    const place = this.#place((key) => new Register(key, this.#writer));
    this.#worn.push(old.path);
    this.#registers[this.#registers.indexOf(old)] = place;
    return place;
  }

  #place<Cell extends Register | Counter>(cell: (key: string) => Cell): Place<Cell> {
    const { namespaces, accepts } = this.#settings;
    for (let refused = 0; refused < maxRefused; refused++) {
      const namespace = namespaces[this.#named % namespaces.length] ?? '';
      const key = `load-${this.#writer}-${this.#named++}`;
      if (accepts && !accepts(namespace, key)) continue;
      return { namespace, path: `/v1/cache/${namespace}/${key}`, cell: cell(key) };
    }
    throw new OrchestratorError('USAGE', `None of ${maxRefused} keys in a row was accepted for the load.`);
  }
}

const free = <Cell extends Register | Counter>(
  places: readonly Place<Cell>[],
  from: number,
): Place<Cell> | undefined => {
  for (let probe = 0; probe < maxProbes && probe < places.length; probe++) {
    const place = places[(from + probe) % places.length];
    if (place && !place.cell.busy) return place;
  }
  return undefined;
};
