/** The options of `lockstep manifest kubernetes`, checked, with their defaults. */

import { defaultPort } from '../../shared/network/address.js';
import { ConfigError } from '../../shared/errors.js';
import { wholeNumber } from '../options/number-options.js';

export const manifestKinds = ['jobset', 'trainjob', 'job'] as const;
export type ManifestKind = (typeof manifestKinds)[number];

export interface ManifestFlags {
  readonly kind: ManifestKind;
  readonly name: string;
  readonly namespace?: string;
  readonly image: string;
  readonly workers: string;
  readonly cpu: string;
  readonly memory: string;
  readonly gpus: string;
  readonly user: string;
  readonly grace: string;
  readonly queue?: string;
  readonly claim?: string;
  readonly secret?: string;
  readonly keys?: string;
  readonly dashboardSecret?: string;
}

export interface ManifestPlan {
  readonly kind: ManifestKind;
  readonly name: string;
  readonly namespace: string | null;
  readonly image: string;
  readonly workers: number;
  readonly cpu: string;
  readonly memory: string;
  readonly gpus: number;
  /** User and group of the processes; null: the cluster assigns them. */
  readonly user: number | null;
  readonly graceSeconds: number;
  readonly queue: string | null;
  /** Name of the persistent volume claim for the run; null: a folder that is lost with its pod. */
  readonly claim: string | null;
  /** Name of the Secret with the keys. */
  readonly secret: string;
  /** Name of the Secret with the token of the dashboard; null: no dashboard. */
  readonly dashboardSecret: string | null;
  /** Further options of the coordinator or of `train`. */
  readonly options: readonly string[];
}

/** Ports of the containers. They are fixed, so that a NetworkPolicy can name them. */
export const ports = {
  coordinator: defaultPort,
  /** The port of Kubeflow's variable PET_MASTER_PORT. */
  trainJob: 29_500,
  peers: 28_610,
  health: 8_086,
  dashboard: 29_480,
} as const;

/** The names of pods and services extend the name, and Kubernetes limits each to 63 characters. */
const namePattern = /^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/;
const quantityPattern = /^\d{1,9}(\.\d{1,3})?(m|[KMGTP]i?)?$/;
const dnsPattern = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const imagePattern = /^[\w][\w.\-/:@]{0,511}$/;
/** Options that the manifest sets itself. */
const ownOptions = [
  '--workers',
  '--out',
  '--listen',
  '--coordinator',
  '--keys',
  '--health',
  '--dashboard',
  '--launcher',
];

/** @throws ConfigError naming the option */
export function planManifest(flags: ManifestFlags, options: readonly string[]): ManifestPlan {
  const own = options.find((option) => ownOptions.includes(option.split('=')[0] ?? ''));
  if (own !== undefined)
    throw new ConfigError(
      `Options after --: expected none that the manifest sets itself, got ${own}. Leave it out.`,
    );
  const name = matched(
    '--name',
    flags.name,
    namePattern,
    'lower-case letters, digits and dashes, at most 40',
  );
  const optional = (flag: string, text: string | undefined): string | null =>
    text === undefined ? null : matched(flag, text, dnsPattern, 'a name of Kubernetes');
  return {
    kind: flags.kind,
    name,
    namespace: optional('--namespace', flags.namespace),
    image: matched('--image', flags.image, imagePattern, 'the name of an image'),
    workers: wholeNumber('--workers', flags.workers, 1, 1024),
    cpu: matched('--cpu', flags.cpu, quantityPattern, 'a quantity such as 4 or 500m'),
    memory: matched('--memory', flags.memory, quantityPattern, 'a quantity such as 8Gi'),
    gpus: wholeNumber('--gpus', flags.gpus, 0, 64),
    user: flags.user === 'cluster' ? null : wholeNumber('--user', flags.user, 1, 2_147_483_647),
    graceSeconds: wholeNumber('--grace', flags.grace, 1, 86_400),
    queue: optional('--queue', flags.queue),
    claim: optional('--claim', flags.claim),
    secret: optional('--secret', flags.secret) ?? `${name}-keys`,
    dashboardSecret: optional('--dashboard-secret', flags.dashboardSecret),
    options,
  };
}

function matched(flag: string, text: string, pattern: RegExp, expected: string): string {
  if (pattern.test(text)) return text;
  throw new ConfigError(`${flag}: expected ${expected}, got "${text}".`);
}
