/** The vocabulary in which model/platform.ts describes the platform. */

export type Language = 'rust' | 'go' | 'typescript';

/**
 * The fixed port that leads to a service: all replicas stand behind `first`, but each node has one of its own,
 * `first + i × step`. Inside a container every replica listens on `first`.
 */
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

/** A fixed address that the edge forwards: ProtoJSON of bimetal.control.v1.Route. */
export interface Route {
  /** `gateway.http`, or for a node `cache-0.grpc`. */
  readonly name: string;
  readonly listen: string;
  /** HOST:PORT, or unix:@NAME of an instance that takes connections over. */
  readonly targets: readonly string[];
}

/** What an instance may ask about itself and the others while its settings are made; each driver answers its way. */
export interface Surroundings {
  readonly instance: string;
  readonly index: number;
  /** HOST:PORT that the instance binds for one of its own ports. */
  readonly listen: (port: string) => string;
  /**
   * Where the instance takes connections for one of its ports that the edge has accepted and passes on as open sockets;
   * undefined where none can be passed.
   */
  readonly passedListen: (port: string) => string | undefined;
  /** HOST:PORT that leads to a service, whichever its replicas are: the edge's. `index` is for nodes; default 0. */
  readonly reach: (service: string, port: string, index?: number) => string;
  /** The host name under which callers find what is behind the edge, beside loopback's. */
  readonly edgeHost: string | undefined;
  /** The instances of a service, each at an address of its own, for who must tell them apart. */
  readonly direct: (service: string, port: string) => readonly { readonly name: string; readonly address: string }[];
  /**
   * The nodes' own addresses, for who is told by SetTopology when they change. Absent while they are not known yet:
   * they are told then.
   */
  readonly topology: Topology | undefined;
  /** The nodes at addresses that hold while processes come and go behind them, for clients that nobody tells. */
  readonly fixedTopology: Topology | undefined;
  /** For the edge itself. */
  readonly routes: readonly Route[];
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
  /** A harmless read that a rollout sends to a new instance before callers' requests go there: port and path. */
  readonly canary?: { readonly port: string; readonly path: string };
  /** The forwarder behind whose fixed ports the instances of all other services come and go. */
  readonly edge?: true;
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
