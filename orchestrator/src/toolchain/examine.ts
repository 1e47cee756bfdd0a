import type { DriverKind } from '../drivers/driver.ts';
import { instancesOf } from '../model/instances.ts';
import { platform as model } from '../model/platform.ts';
import { fixedPortOf, isBehindEdge, routesOf } from '../model/routes.ts';
import { describePortHolder } from '../process/port-holder.ts';
import { isPortFree } from '../process/ports.ts';
import { sentenceOf } from './choose.ts';
import { detectCompose, detectEngine, detectGo, detectNode, detectRust, type Tool } from './detect.ts';

export interface Findings {
  readonly tools: readonly Tool[];
  readonly drivers: readonly DriverKind[];
  /** One sentence for everything that is missing or in the way. */
  readonly advice: readonly string[];
}

export const examine = async (): Promise<Findings> => {
  const [go, rust, engine, compose] = await Promise.all([detectGo(), detectRust(), detectEngine(), detectCompose()]);
  const tools = [detectNode(), go, rust, engine, compose];
  const drivers: DriverKind[] = [];
  if (go.ok && rust.ok) drivers.push('process');
  if (engine.ok && compose.ok) drivers.push('container');
  const advice = [...tools.filter(({ ok }) => !ok).map(sentenceOf), ...(await takenPorts())];
  return { tools, drivers, advice };
};

const takenPorts = async (): Promise<string[]> => {
  const own = Object.keys(model.services)
    .flatMap((service) => instancesOf(model, service))
    .filter(({ spec }) => !isBehindEdge(spec))
    .flatMap((instance) => Object.keys(instance.spec.ports).map((port) => fixedPortOf(instance, port)));
  const ports = [...own, ...routesOf(model).map(({ fixedPort }) => fixedPort)];
  const taken = await Promise.all(ports.map(async (port) => ((await isPortFree(port)) ? [] : [port])));
  return taken
    .flat()
    .map((port) => `Port ${port} is taken by ${describePortHolder(port)}: stop it, or use --ports free.`);
};
