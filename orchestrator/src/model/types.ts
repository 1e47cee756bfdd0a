/** The vocabulary in which model/platform.ts describes the platform. */

export type Language = 'rust' | 'go' | 'typescript';

/** Replica i listens on `first + i × step` unless the run asks for free ports. */
export interface PortSpec {
  readonly first: number;
  readonly step: number;
}

export type BuildSpec =
  | { readonly kind: 'cargo'; readonly package: string; readonly sources: readonly string[] }
  | { readonly kind: 'go'; readonly package: string; readonly output: string; readonly sources: readonly string[] }
  /** A program that is there already, with its arguments. */
  | { readonly kind: 'prebuilt'; readonly command: readonly [string, ...string[]]; readonly sources: readonly string[] }
  /** Node runs the TypeScript file as it is. */
  | { readonly kind: 'node'; readonly entry: string; readonly sources: readonly string[] };

/** A namespace as the nodes get it at start: ProtoJSON of bimetal.cache.v1.Namespace. */
export interface NamespaceSpec {
  readonly name: string;
  readonly [field: string]: unknown;
}

/** ProtoJSON of bimetal.control.v1.Topology. */
export interface Topology {
  readonly epoch: string;
  readonly nodes: readonly { readonly name: string; readonly tag: number; readonly address: string }[];
}

/** What an instance may ask about itself and the others while its settings are made; each driver answers its way. */
export interface Surroundings {
  readonly instance: string;
  readonly index: number;
  /** HOST:PORT that the instance binds for one of its own ports. */
  readonly listen: (port: string) => string;
  /** HOST:PORT under which it reaches another service; `index` defaults to 0. */
  readonly reach: (service: string, port: string, index?: number) => string;
  /** How many replicas a service has. */
  readonly replicas: (service: string) => number;
  /** Absent while the addresses of the nodes are not known yet: they are told by SetTopology then. */
  readonly topology: Topology | undefined;
  readonly namespaces: readonly NamespaceSpec[];
}

/** Names without the BIMETAL_ prefix; `undefined` leaves the service its default. */
export type Settings = Readonly<Record<string, string | undefined>>;

export interface ServiceSpec {
  /** One sentence for people: status page, `status`, comments in the compose file. */
  readonly job: string;
  readonly language: Language;
  readonly replicas: number;
  /** Services that have to be ready before this one starts. */
  readonly needs: readonly string[];
  /** Contract packages that it serves and calls. */
  readonly contract: { readonly provides: readonly string[]; readonly needs: readonly string[] };
  readonly ports: Readonly<Record<string, PortSpec>>;
  /** Which of the ports answers /livez, /readyz, /metrics and /contract. */
  readonly probe: string;
  /** A node of the cache: its name and tag stand in the topology, with the address of this port. */
  readonly node?: { readonly port: string };
  /** `orchestrator`: `up` does this job itself, and only a plain `docker compose up` runs it as a service. */
  readonly runs: 'instance' | 'orchestrator';
  /** `core` services are there in every profile of the compose file. */
  readonly profile: 'core' | 'full';
  readonly build: BuildSpec;
  readonly image: {
    readonly dockerfile: string;
    readonly command?: readonly string[];
    readonly healthcheck: readonly string[];
  };
  /** A hard limit of the container, in the notation of compose. */
  readonly memory: string;
  readonly settings: (at: Surroundings) => Settings;
}

export interface PlatformModel {
  readonly namespaces: readonly NamespaceSpec[];
  readonly services: Readonly<Record<string, ServiceSpec>>;
}
