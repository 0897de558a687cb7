/**
 * The process environment, read in one place. The few modules elsewhere that read process.env are listed in docs/architecture.md.
 */

import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { detectPlatform, type LauncherChoice } from '../../launcher/platforms/detect.js';
import type { Placement } from '../../launcher/platforms/platform.js';
import { pm2 } from '../../launcher/platforms/pm2.js';
import { privateEndpoint } from '../../launcher/socket-directory.js';
import { completeEndpoint } from '../../shared/network/address.js';
import { cacheRoot, engineHost, type EngineHost } from '../../worker/engine/cache.js';

/** Returns the value of an environment variable; undefined if it is unset or empty. */
export function environmentVariable(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

/**
 * Returns the coordinator's address for processes that are started one by one (by pm2, or on other hosts).
 * @param given value of the option
 * @throws ConfigError if it is malformed, or if none is given and there is no private folder for a socket
 */
export function coordinatorEndpoint(given?: string): string {
  const address = given ?? environmentVariable('LOCKSTEP_COORDINATOR');
  if (address !== undefined) return completeEndpoint(address);
  return privateEndpoint(environmentVariable('XDG_RUNTIME_DIR'));
}

/** Folder of CURVE keys; undefined if none is set. */
export const defaultKeys = environmentVariable('LOCKSTEP_KEYS');
export const defaultSecurity = environmentVariable('LOCKSTEP_SECURITY') ?? 'auto';

/** Returns the number of this process among equal processes, as pm2 numbers its instances; 0 without pm2. */
export function instanceNumber(): number {
  return pm2(process.env)?.localRank ?? 0;
}

/** Returns the number of times that pm2 has restarted this process; 0 without pm2. */
export function restartCount(): number {
  return pm2(process.env)?.restarts ?? 0;
}

/**
 * Returns the place of this process in a scheduler's job.
 * @throws ConfigError if the environment lacks the variables of the platform that the user has named
 */
export function placementOf(choice: LauncherChoice | undefined): Placement {
  return detectPlatform(process.env, choice);
}

/** Returns the access token of the dashboard; null if the dashboard generates one. */
export function dashboardToken(): string | null {
  return environmentVariable('LOCKSTEP_DASHBOARD_TOKEN') ?? null;
}

/** The server and the files that Kubeflow names in the environment of a pod. */
export interface KubeflowServer {
  readonly url: string;
  /** File with the certificate of the server's authority; undefined: those of the system. */
  readonly caFile: string | undefined;
  /** File with the token, which Kubernetes replaces before it expires. */
  readonly tokenFile: string | undefined;
}

/** Returns where the progress of a TrainJob is reported; undefined outside of Kubeflow, or if its feature is not enabled. */
export function kubeflowServer(): KubeflowServer | undefined {
  const url = environmentVariable('KUBEFLOW_TRAINER_SERVER_URL');
  if (url === undefined) return undefined;
  return {
    url,
    caFile: environmentVariable('KUBEFLOW_TRAINER_SERVER_CA_CERT'),
    tokenFile: environmentVariable('KUBEFLOW_TRAINER_SERVER_TOKEN'),
  };
}

/** Returns the address and the headers of the OpenTelemetry collector, from OpenTelemetry's own variables. */
export function otlpDestination(): { readonly endpoint: string; readonly headers: Record<string, string> } {
  const pairs = (environmentVariable('OTEL_EXPORTER_OTLP_HEADERS') ?? '').split(',').filter(Boolean);
  return {
    endpoint: environmentVariable('OTEL_EXPORTER_OTLP_ENDPOINT') ?? 'http://localhost:4318',
    headers: Object.fromEntries(
      pairs.map((pair) => {
        const [name = '', ...value] = pair.split('=');
        return [name.trim(), decodeURIComponent(value.join('=').trim())];
      }),
    ),
  };
}

/** Returns true if the terminal cannot move its cursor, or if a program reads the output. */
export function dumbTerminal(): boolean {
  return process.env['TERM'] === 'dumb' || environmentVariable('CI') !== undefined;
}

/** Name of this host. Workers with the same name share memory, and the hierarchical all-reduce combines them first. */
export const host: string = process.env['LOCKSTEP_HOST'] ?? hostname();

/** The GPUs that this process was given; a worker replaces the variable by its own GPU before the engine loads. */
export const givenGpus: string | undefined = process.env['CUDA_VISIBLE_DEVICES'];

/** A user without an account has no home folder unless HOME names one. There are no caches then, unless XDG_CACHE_HOME names a folder. */
function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return '/nonexistent';
  }
}

export function currentEngineHost(): EngineHost {
  return engineHost(process.env, homeFolder());
}

/** Returns the folder of transpiled training definitions, for `loadDefinition`. */
export function definitionCache(): string {
  return join(cacheRoot(currentEngineHost()), 'definitions');
}

/** Returns the search path for programs. */
export function searchPath(): string {
  return process.env['PATH'] ?? '';
}

/** Sets variables that a native library reads while it loads. */
export function assignEnvironment(values: Readonly<Record<string, string>>): void {
  Object.assign(process.env, values);
}
