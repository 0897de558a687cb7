/** The pods of a manifest: container, probes, volumes, and the rights of its processes. */

import { ports, type ManifestPlan } from './manifest-plan.js';

/** A part of a manifest: plain data in the form of Kubernetes' API. */
export type Part = Readonly<Record<string, unknown>>;

/** `node`: a pod of a TrainJob, which is a worker and, with index 0, the coordinator as well. */
export type PodRole = 'coordinator' | 'worker' | 'node';

/** Paths in the image that the project's Dockerfile builds. */
const program = ['node', '/opt/lockstep/dist/cli/main.js'] as const;
/** The one folder in which the processes write. */
const writable = '/work';
const keysFolder = '/keys';
const runFolder = `${writable}/run`;
/** The engine is loaded and the data is read within this time: 60 periods of 5 s. */
const startup = { periodSeconds: 5, failureThreshold: 60 };
const groupReadable = 0o440;
const worldReadable = 0o444;

export function labelsOf({ name }: ManifestPlan): Record<string, string> {
  return { 'app.kubernetes.io/name': 'lockstep', 'app.kubernetes.io/instance': name };
}

export interface PodOptions {
  /** Host of the coordinator for a worker, as text in which Kubernetes replaces `$(NAME)`. */
  readonly coordinator?: string;
  /** Variables that precede all others. */
  readonly variables?: readonly Part[];
  readonly restartPolicy?: 'Never' | 'Always';
  readonly labels?: Readonly<Record<string, string>>;
}

export function podTemplate(plan: ManifestPlan, role: PodRole, options: PodOptions = {}): Part {
  const { restartPolicy = 'Never', labels = {} } = options;
  const { user, graceSeconds } = plan;
  const isScraped = plan.dashboardSecret !== null && role !== 'worker';
  return {
    metadata: {
      labels: { ...labelsOf(plan), 'app.kubernetes.io/component': role, ...labels },
      ...(isScraped && { annotations: scrapeAnnotations }),
    },
    spec: {
      restartPolicy,
      terminationGracePeriodSeconds: graceSeconds,
      // Processes find each other by the variables below; those of all services of the namespace are not needed.
      enableServiceLinks: false,
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
        ...(user !== null && { runAsUser: user, runAsGroup: user, fsGroup: user }),
      },
      containers: [container(plan, role, options)],
      volumes: volumes(plan, role),
    },
  };
}

const scrapeAnnotations = {
  'prometheus.io/scrape': 'true',
  'prometheus.io/port': String(ports.dashboard),
  'prometheus.io/path': '/metrics',
};

function container(plan: ManifestPlan, role: PodRole, options: PodOptions): Part {
  const resources = {
    cpu: plan.cpu,
    memory: plan.memory,
    ...(plan.gpus > 0 && role !== 'coordinator' && { 'nvidia.com/gpu': String(plan.gpus) }),
  };
  return {
    name: role,
    image: plan.image,
    command: [...program],
    args: argumentsOf(plan, role),
    env: variables(plan, role, options),
    ports: portsOf(plan, role),
    startupProbe: { ...probe('/healthz'), ...startup },
    livenessProbe: { ...probe('/healthz'), periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5 },
    readinessProbe: { ...probe('/readyz'), periodSeconds: 5 },
    resources: { requests: resources, limits: resources },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'work', mountPath: writable },
      { name: 'keys', mountPath: keysFolder, readOnly: true },
    ],
  };
}

const probe = (path: string): Part => ({ httpGet: { path, port: 'health' } });

function argumentsOf({ workers, options, dashboardSecret }: ManifestPlan, role: PodRole): string[] {
  const health = ['--health', `*:${ports.health}`];
  if (role === 'worker') return ['worker', ...health];
  const dashboard = dashboardSecret === null ? [] : ['--dashboard', `*:${ports.dashboard}`];
  const common = ['--out', runFolder, '--json', ...health, ...dashboard, ...options];
  if (role === 'node') return ['train', ...common];
  return ['coordinator', '--workers', String(workers), '--listen', `tcp://*:${ports.coordinator}`, ...common];
}

function variables(plan: ManifestPlan, role: PodRole, { coordinator, variables = [] }: PodOptions): Part[] {
  const token = { secretKeyRef: { name: plan.dashboardSecret, key: 'token' } };
  return [
    ...variables,
    ...(coordinator === undefined
      ? []
      : [{ name: 'LOCKSTEP_COORDINATOR', value: `tcp://${coordinator}:${ports.coordinator}` }]),
    { name: 'LOCKSTEP_KEYS', value: keysFolder },
    ...(role === 'coordinator' ? [] : [{ name: 'LOCKSTEP_PEER_PORT', value: String(ports.peers) }]),
    ...(plan.dashboardSecret === null || role === 'worker'
      ? []
      : [{ name: 'LOCKSTEP_DASHBOARD_TOKEN', valueFrom: token }]),
    { name: 'HOME', value: writable },
    { name: 'TMPDIR', value: writable },
  ];
}

function portsOf({ dashboardSecret }: ManifestPlan, role: PodRole): Part[] {
  const listed: Part[] = [{ name: 'health', containerPort: ports.health }];
  if (role === 'coordinator') listed.push({ name: 'coordinator', containerPort: ports.coordinator });
  if (role === 'node') listed.push({ name: 'coordinator', containerPort: ports.trainJob });
  if (role !== 'coordinator') listed.push({ name: 'peers', containerPort: ports.peers });
  if (role !== 'worker' && dashboardSecret !== null)
    listed.push({ name: 'dashboard', containerPort: ports.dashboard });
  return listed;
}

/** A worker keeps its files on its node; the coordinator's are on the claim. */
function volumes({ claim, secret, user }: ManifestPlan, role: PodRole): Part[] {
  const isLasting = claim !== null && role !== 'worker';
  const items = (role === 'worker' ? workerKeys : coordinatorKeys).map((path) => ({
    key: keyOf(path),
    path,
  }));
  return [
    {
      name: 'work',
      ...(isLasting ? { persistentVolumeClaim: { claimName: claim } } : { emptyDir: {} }),
    },
    {
      name: 'keys',
      secret: {
        secretName: secret,
        // Without a known group, only a mode that the cluster's user can read is possible. The pod is the boundary between users.
        defaultMode: user === null ? worldReadable : groupReadable,
        items: role === 'node' ? [...items, ...extraNodeKeys] : items,
      },
    },
  ];
}

/** Files of the folder that `lockstep keygen` makes. */
const workerKeys = ['coordinator.pub', 'worker.key'];
const coordinatorKeys = ['coordinator.key', 'coordinator.pub', 'authorized/worker.pub'];
const extraNodeKeys = [{ key: 'worker.key', path: 'worker.key' }];

/** The name of an entry of a Secret has no slash. */
export const keyOf = (path: string): string => path.replace('authorized/', '');
/** Paths of all files of the Secret. */
export const secretFiles: readonly string[] = [...new Set([...coordinatorKeys, ...workerKeys])];
