/**
 * Validates the objects of a manifest. The schemas of Kubernetes' own objects are those of the package kubernetes-models. Those of JobSet
 * and of Kubeflow's Trainer, which no package has, describe the fields that a manifest may use here; with LOCKSTEP_CRDS=DIR, the definitions
 * of these resources (YAML files) are used as well.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** @throws Error if the text is not YAML */
export function parseManifest(text: string): KubernetesObject[] {
  return text.split(/^---\n/m).map((document) => parse(document) as KubernetesObject);
}

interface Validate {
  (data: unknown): boolean;
  errors?: readonly { readonly instancePath: string; readonly keyword: string; readonly params: object }[];
}
const require = createRequire(import.meta.url);
/** The schema of each kind: a file of the package, which exports classes for them that hide the data from the validation. */
const models: Readonly<Record<string, string>> = {
  'batch/v1 Job': 'BatchV1Job',
  'apps/v1 StatefulSet': 'AppsV1StatefulSet',
  'v1 Service': 'CoreV1Service',
  'v1 Secret': 'CoreV1Secret',
  'networking.k8s.io/v1 NetworkPolicy': 'NetworkingV1NetworkPolicy',
};

/** Validates an object. @throws Error naming a field that is wrong, or that the schema does not have */
export function validateObject(object: KubernetesObject): void {
  const kind = `${object.apiVersion} ${object.kind}`;
  const schema = resources[kind];
  if (!schema) {
    validateModel(kind, object);
    return;
  }
  schema.parse(object);
  for (const template of jobTemplatesIn(object))
    validateModel('batch/v1 Job', {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'template' },
      ...template,
    });
}

/** The validators accept unknown fields. They read each field that they know, so a field that they never read is unknown. */
function validateModel(kind: string, object: object): void {
  const name = models[kind];
  if (name === undefined) throw new Error(`${kind}: no schema`);
  const folder = join(dirname(require.resolve('kubernetes-models')), '_schemas');
  const { validate } = require(join(folder, `IoK8sApi${name}.js`)) as { readonly validate: Validate };
  const unread = new Set<string>();
  addPaths(object, kind, unread);
  const view = observed(object, kind, unread);
  if (!validate(view)) {
    const faults = (validate.errors ?? []).map(
      ({ instancePath, keyword, params }) => `${instancePath}: ${keyword} ${JSON.stringify(params)}`,
    );
    throw new Error(faults.join('; '));
  }
  if (unread.size > 0) throw new Error(`Unknown fields: ${[...unread].join(', ')}`);
}

/** Returns a view that removes the path of each property from `unread` when it is read. */
function observed(value: unknown, path: string, unread: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    get: (target, key): unknown => {
      const child = Reflect.get(target, key) as unknown;
      if (typeof key === 'symbol') return child;
      unread.delete(`${path}.${key}`);
      return observed(child, `${path}.${key}`, unread);
    },
  });
}

function addPaths(value: unknown, path: string, paths: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    paths.add(`${path}.${key}`);
    addPaths(child, `${path}.${key}`, paths);
  }
}

const job = z.strictObject({
  metadata: z.strictObject({ labels: z.record(z.string(), z.string()) }).optional(),
  spec: z.looseObject({ template: z.looseObject({}) }),
});
const metadata = z.strictObject({
  name: z.string().max(63),
  namespace: z.string().optional(),
  labels: z.record(z.string(), z.string().max(63)),
});
const count = z.int().min(0);

/** The specification of a JobSet (jobset.x-k8s.io/v1alpha2). */
const jobSetSpec = z.strictObject({
  coordinator: z
    .strictObject({ replicatedJob: z.string(), jobIndex: count.optional(), podIndex: count.optional() })
    .optional(),
  network: z
    .strictObject({
      enableDNSHostnames: z.boolean().optional(),
      subdomain: z.string().optional(),
      publishNotReadyAddresses: z.boolean().optional(),
    })
    .optional(),
  successPolicy: z
    .strictObject({
      operator: z.enum(['All', 'Any']),
      targetReplicatedJobs: z.array(z.string()).optional(),
    })
    .optional(),
  failurePolicy: z
    .strictObject({
      maxRestarts: count.optional(),
      rules: z
        .array(
          z.strictObject({
            name: z.string().regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/),
            action: z.enum(['FailJobSet', 'RestartJobSet', 'RestartJobSetAndIgnoreMaxRestarts']),
            onJobFailureReasons: z
              .array(
                z.enum([
                  'BackoffLimitExceeded',
                  'DeadlineExceeded',
                  'FailedIndexes',
                  'MaxFailedIndexesExceeded',
                  'PodFailurePolicy',
                ]),
              )
              .optional(),
            targetReplicatedJobs: z.array(z.string()).optional(),
          }),
        )
        .max(20)
        .optional(),
    })
    .optional(),
  replicatedJobs: z.array(z.strictObject({ name: z.string(), replicas: count.optional(), template: job })),
});

const trainerGroup = 'trainer.kubeflow.org';
const resources: Readonly<Record<string, z.ZodType>> = {
  'jobset.x-k8s.io/v1alpha2 JobSet': z.strictObject({
    apiVersion: z.string(),
    kind: z.string(),
    metadata,
    spec: jobSetSpec,
  }),
  [`${trainerGroup}/v1alpha1 ClusterTrainingRuntime`]: z.strictObject({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: metadata.omit({ namespace: true }),
    spec: z.strictObject({
      mlPolicy: z.strictObject({ numNodes: count.min(1), torch: z.strictObject({}) }),
      template: z.strictObject({ spec: jobSetSpec }),
    }),
  }),
  [`${trainerGroup}/v1alpha1 TrainJob`]: z.strictObject({
    apiVersion: z.string(),
    kind: z.string(),
    metadata,
    spec: z.strictObject({
      runtimeRef: z.strictObject({
        apiGroup: z.literal(trainerGroup),
        kind: z.literal('ClusterTrainingRuntime'),
        name: z.string(),
      }),
      trainer: z.strictObject({ numNodes: count.min(1) }),
    }),
  }),
};

interface JobTemplate {
  readonly spec: { readonly template: PodTemplate };
}

export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly securityContext: Readonly<Record<string, unknown>>;
    readonly volumes: readonly {
      readonly name: string;
      readonly emptyDir?: object;
      readonly persistentVolumeClaim?: { readonly claimName: string };
      readonly secret?: {
        readonly secretName: string;
        readonly defaultMode: number;
        readonly items: readonly { readonly key: string; readonly path: string }[];
      };
    }[];
    readonly containers: readonly [Container];
  };
}

export interface Container {
  readonly name: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: object }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
}

/** The templates of the Jobs of a JobSet or of a runtime. */
function jobTemplatesIn({ spec }: KubernetesObject): JobTemplate[] {
  const { replicatedJobs, template } = spec as {
    replicatedJobs?: { template: JobTemplate }[];
    template?: { spec: { replicatedJobs: { template: JobTemplate }[] } };
  };
  return (replicatedJobs ?? template?.spec.replicatedJobs ?? []).map((one) => one.template);
}

/** The pods of all objects, by the name of their container. */
export function podsOf(objects: readonly KubernetesObject[]): Map<string, PodTemplate> {
  const templates = objects.flatMap((object) => [
    ...jobTemplatesIn(object).map(({ spec }) => spec.template),
    ...(['Job', 'StatefulSet'].includes(object.kind) ? [object.spec['template'] as PodTemplate] : []),
  ]);
  return new Map(templates.map((template) => [template.spec.containers[0].name, template]));
}

/** The reason to skip a test that needs the definitions of the resources; undefined if it can run. */
export const noDefinitions =
  process.env['LOCKSTEP_CRDS'] === undefined
    ? 'needs LOCKSTEP_CRDS, a folder with the custom resource definitions of JobSet and of Kubeflow Trainer'
    : undefined;

interface Definition {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: object };
    }[];
  };
}

/** Validators by file: their compilation takes seconds. */
const compiled = new Map<string, (data: unknown) => void>();

/** Returns a function that throws an Error naming the fields that are wrong. */
function compile(schema: object): (data: unknown) => void {
  const { Ajv } = require('ajv') as {
    readonly Ajv: new (options: object) => {
      compile(schema: object): ((data: unknown) => boolean) & { errors?: object[] };
      errorsText(errors?: object[]): string;
    };
  };
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  const validate = ajv.compile(schema);
  return (data) => {
    if (!validate(data)) throw new Error(ajv.errorsText(validate.errors));
  };
}

/** Validates against the definition of the resource. Returns false if the folder has none. @throws Error naming the fields */
export function validateByDefinition(object: KubernetesObject): boolean {
  const folder = process.env['LOCKSTEP_CRDS'] ?? '';
  for (const file of readdirSync(folder)) {
    const { spec } = parse(readFileSync(join(folder, file), 'utf8')) as Definition;
    const version = spec.versions.find(({ name }) => `${spec.group}/${name}` === object.apiVersion);
    if (!version || spec.names.kind !== object.kind) continue;
    const validate = compiled.get(file) ?? compile(strict(version.schema.openAPIV3Schema) as object);
    compiled.set(file, validate);
    validate(object);
    return true;
  }
  return false;
}

/** Kubernetes refuses unknown fields with strict validation, which OpenAPI's default does not. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copied = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, strict(value)]));
  // The metadata of an object is described elsewhere.
  const isDescribed = 'properties' in schema && !('x-kubernetes-preserve-unknown-fields' in schema);
  return isDescribed && !('additionalProperties' in schema)
    ? { ...copied, additionalProperties: false }
    : copied;
}
