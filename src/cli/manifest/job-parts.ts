/** Parts that the kinds of manifests share: metadata, jobs, services, and the policies for failures and for the network. */

import { constants } from 'node:os';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { ports, type ManifestPlan } from './manifest-plan.js';
import { keyOf, labelsOf, secretFiles, type Part, type PodRole } from './pod-template.js';

/** Number of failures with status 1 or by SIGKILL after which a pod is not replaced any more. */
const retries = 6;

/** @param suffix of the name; empty for the object itself */
export function metadata(plan: ManifestPlan, suffix = '', isQueued = false): Part {
  const { name, namespace, queue } = plan;
  return {
    name: `${name}${suffix}`,
    ...(namespace !== null && { namespace }),
    labels: { ...labelsOf(plan), ...(isQueued && queue !== null && { 'kueue.x-k8s.io/queue-name': queue }) },
  };
}

/**
 * The rules for a container that ends, from docs/exit-status.md: a wrong configuration is never tried again; a pod that was stopped and has
 * saved its state is started again without counting as a failure; every other failure counts.
 */
export function podFailurePolicy(role: PodRole): Part {
  const { SIGHUP, SIGINT, SIGTERM } = constants.signals;
  const stopped = [SIGHUP, SIGINT, SIGTERM].map((signal) => 128 + signal);
  const ends = (action: string, values: readonly number[]): Part => ({
    action,
    onExitCodes: { containerName: role, operator: 'In', values: [...values].sort((a, b) => a - b) },
  });
  return {
    rules: [
      ends('FailJob', [exitStatus.usage]),
      ends('Ignore', [exitStatus.saved, ...stopped]),
      { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
    ],
  };
}

/** The specification of a Job in which each pod is replaced by itself, without the number of its pods. */
export function jobSpec(role: PodRole, template: Part): Part {
  return {
    completionMode: 'Indexed',
    ...(role === 'coordinator' ? { backoffLimit: retries } : { backoffLimitPerIndex: retries }),
    podFailurePolicy: podFailurePolicy(role),
    podReplacementPolicy: 'Failed',
    template,
  };
}

/** The number of pods of a Job. */
export const podCount = (pods: number): Part => ({ completions: pods, parallelism: pods });

/** A service that gives the pods of a role DNS names, also before they are ready. */
export function headlessService(plan: ManifestPlan, suffix: string, role: PodRole, port: number): Part {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(plan, suffix),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: { ...labelsOf(plan), 'app.kubernetes.io/component': role },
      ports: [{ name: 'lockstep', port }],
    },
  };
}

/** Only pods of the same run reach the ports of the training. Probes come from the node, which no policy keeps out. */
export function networkPolicy(plan: ManifestPlan): Part {
  const port = (number: number): Part => ({ protocol: 'TCP', port: number });
  const training = [plan.kind === 'trainjob' ? ports.trainJob : ports.coordinator, ports.peers];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadata(plan),
    spec: {
      podSelector: { matchLabels: labelsOf(plan) },
      policyTypes: ['Ingress'],
      ingress: [
        { from: [{ podSelector: { matchLabels: labelsOf(plan) } }], ports: training.map(port) },
        { ports: [ports.health, ...(plan.dashboardSecret === null ? [] : [ports.dashboard])].map(port) },
      ],
    },
  };
}

/** @throws ConfigError if the folder lacks a file of `lockstep keygen` */
export function keysSecret(plan: ManifestPlan, folder: string): Part {
  const data = secretFiles.map((path) => {
    try {
      return [keyOf(path), readFileSync(join(folder, path)).toString('base64')] as const;
    } catch (cause) {
      throw new ConfigError(
        `--keys ${folder}: expected the file ${path}, got ${systemCode(cause) ?? String(cause)}. Make the keys with \`lockstep keygen --out ${folder}\`.`,
        {},
        cause,
      );
    }
  });
  const name = { ...metadata(plan), name: plan.secret };
  return { apiVersion: 'v1', kind: 'Secret', metadata: name, type: 'Opaque', data: Object.fromEntries(data) };
}
