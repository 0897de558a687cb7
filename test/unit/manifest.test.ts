import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { kinds } from '../../src/cli/manifest/kinds.js';
import { keysSecret } from '../../src/cli/manifest/job-parts.js';
import {
  manifestKinds,
  planManifest,
  ports,
  type ManifestFlags,
} from '../../src/cli/manifest/manifest-plan.js';
import { version } from '../../src/cli/version.js';
import { newKeyPair } from '../../src/shared/transport/zmq/new-key-pair.js';
import { writeKeyPair } from '../../src/cli/security/write-keys.js';
import {
  noDefinitions,
  podsOf,
  validateByDefinition,
  validateObject,
  type KubernetesObject,
} from '../support/kubernetes-schemas.js';
import { temporaryFolder } from '../support/lockstep.js';

const defaults: ManifestFlags = {
  kind: 'jobset',
  name: 'mnist',
  image: 'registry.example.com/team/lockstep:1',
  workers: '4',
  cpu: '2',
  memory: '4Gi',
  gpus: '0',
  user: '1000',
  grace: '60',
};
const everything: Partial<ManifestFlags> = {
  namespace: 'team',
  queue: 'batch',
  claim: 'runs',
  dashboardSecret: 'dashboard',
  gpus: '1',
};

const objectsOf = (
  flags: Partial<ManifestFlags> = {},
  options: readonly string[] = [],
): KubernetesObject[] => {
  const plan = planManifest({ ...defaults, ...flags }, options);
  return kinds[plan.kind](plan) as unknown as KubernetesObject[];
};

const cases = manifestKinds.flatMap((kind) => [
  { kind, title: 'with the defaults', flags: { kind } },
  { kind, title: 'with every option', flags: { kind, ...everything } },
  { kind, title: 'with the users of the cluster', flags: { kind, user: 'cluster' } },
]);

describe('the objects of a manifest', () => {
  it.each(cases)('are valid: $kind $title', ({ flags }) => {
    for (const object of objectsOf(flags)) validateObject(object);
  });

  const reason = noDefinitions === undefined ? '' : ` (${noDefinitions})`;
  it.skipIf(noDefinitions !== undefined).each(cases)(
    `are valid by the definitions of the resources: $kind $title${reason}`,
    ({ kind, flags }) => {
      const validated: string[] = [];
      for (const object of objectsOf(flags)) if (validateByDefinition(object)) validated.push(object.kind);
      const expected = { jobset: ['JobSet'], trainjob: ['ClusterTrainingRuntime', 'TrainJob'], job: [] };
      expect(validated).toEqual(expected[kind]);
    },
  );

  it('are refused by the validation if a field is wrong or unknown', () => {
    const [set] = objectsOf();
    expect(() => validateObject({ ...set!, spec: { ...set!.spec, replicas: 1 } })).toThrow(/replicas/);
    const job = objectsOf({ kind: 'job' }).find(({ kind }) => kind === 'Job')!;
    const wrong = { ...job, spec: { ...job.spec, backofLimit: 1 } };
    expect(() => validateObject(wrong)).toThrow('Unknown fields: batch/v1 Job.spec.backofLimit');
    const text = { ...job, spec: { ...job.spec, completions: 'one' } };
    expect(() => validateObject(text)).toThrow('/spec/completions: type {"type":"integer"}');
  });

  it('stop for a wrong configuration, start again what was saved, and limit other failures', () => {
    const { spec } = objectsOf()[0]!;
    expect(spec).toMatchObject({
      successPolicy: { targetReplicatedJobs: ['coordinator'] },
      failurePolicy: { rules: [{ action: 'FailJobSet', onJobFailureReasons: ['PodFailurePolicy'] }] },
      replicatedJobs: [
        { name: 'coordinator', template: { spec: { completions: 1, backoffLimit: 6 } } },
        { name: 'worker', template: { spec: { completions: 4, parallelism: 4, backoffLimitPerIndex: 6 } } },
      ],
    });
    const job = objectsOf({ kind: 'job' }).find(({ kind }) => kind === 'Job')!;
    expect(job.spec['podFailurePolicy']).toEqual({
      rules: [
        { action: 'FailJob', onExitCodes: { containerName: 'coordinator', operator: 'In', values: [2] } },
        {
          action: 'Ignore',
          onExitCodes: { containerName: 'coordinator', operator: 'In', values: [75, 129, 130, 143] },
        },
        { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
      ],
    });
  });

  it.each(manifestKinds)('have fixed ports, which the policy of the network names: %s', (kind) => {
    const objects = objectsOf({ kind, dashboardSecret: 'dashboard' });
    const used = [...podsOf(objects).values()].flatMap(({ spec }) =>
      spec.containers[0].ports.map(({ containerPort }) => containerPort),
    );
    const policy = objects.find((object) => object.kind === 'NetworkPolicy');
    const { ingress } = policy?.spec as { ingress: { ports: { port: number }[] }[] };
    const allowed = ingress.flatMap((rule) => rule.ports.map(({ port }) => port));
    expect(new Set(allowed)).toEqual(new Set(used));
    expect(allowed).toContain(ports.peers);
  });

  it.each(manifestKinds)('give the processes no rights and one folder: %s', (kind) => {
    for (const { spec } of podsOf(objectsOf({ kind })).values()) {
      expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 });
      const [container] = spec.containers;
      expect(container.securityContext).toMatchObject({
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
      });
      const writable = container.volumeMounts.filter(({ readOnly }) => readOnly !== true);
      expect(writable.map(({ mountPath }) => mountPath)).toEqual(['/work']);
      expect(container.command[0]).toBe('node');
    }
    for (const { spec } of podsOf(objectsOf({ kind, user: 'cluster' })).values())
      expect(Object.keys(spec.securityContext).sort()).toEqual(['runAsNonRoot', 'seccompProfile']);
  });

  it('keep the secret of the coordinator from the workers', () => {
    const keysOf = (name: string) =>
      podsOf(objectsOf())
        .get(name)
        ?.spec.volumes.flatMap(({ secret }) => secret?.items.map(({ path }) => path) ?? []);
    expect(keysOf('worker')).toEqual(['coordinator.pub', 'worker.key']);
    expect(keysOf('coordinator')).toEqual(['coordinator.key', 'coordinator.pub', 'authorized/worker.pub']);
  });

  it('contain the keys of a folder as a Secret', async () => {
    const folder = await temporaryFolder();
    const plan = planManifest(defaults, []);
    expect(() => keysSecret(plan, folder)).toThrow(/--keys .*expected the file coordinator.key, got ENOENT/);
    writeKeyPair(folder, 'coordinator', newKeyPair(), false);
    writeKeyPair(folder, 'worker', newKeyPair(), true);
    const secret = keysSecret(plan, folder) as unknown as KubernetesObject & { data: Record<string, string> };
    validateObject(secret);
    expect(secret.metadata.name).toBe('mnist-keys');
    expect(Buffer.from(secret.data['worker.key'] ?? '', 'base64').toString()).toBe(
      readFileSync(join(folder, 'worker.key'), 'utf8'),
    );
  });

  it.each([
    [{ name: 'Mnist' }, /--name: expected lower-case/],
    [{ workers: '0' }, /--workers: expected a whole number from 1 to 1024/],
    [{ memory: '4 GB' }, /--memory: expected a quantity such as 8Gi, got "4 GB"/],
    [{ image: 'a b' }, /--image/],
    [{ claim: 'a_b' }, /--claim: expected a name of Kubernetes/],
    [{ user: '0' }, /--user/],
  ])('are refused with %o', (flags, message) => {
    expect(() => objectsOf(flags)).toThrow(message);
  });

  it('take the options of train, except those that the manifest sets itself', () => {
    const args = podsOf(objectsOf({}, ['--epochs', '3'])).get('coordinator')?.spec.containers[0].args;
    expect(args?.slice(-2)).toEqual(['--epochs', '3']);
    expect(() => objectsOf({}, ['--out=/tmp/x'])).toThrow(/got --out=\/tmp\/x/);
  });
});

describe('the Dockerfile', () => {
  const text = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8');
  const lines = (name: string): string[] =>
    text.split('\n').flatMap((line) => (line.startsWith(`${name} `) ? [line.slice(name.length + 1)] : []));

  it('starts node itself, with the command of the manifests and the name of the image', () => {
    const command = podsOf(objectsOf()).get('worker')?.spec.containers[0].command;
    expect(JSON.parse(lines('ENTRYPOINT')[0] ?? '')).toEqual(command);
    expect(text).toContain(`--tag lockstep:${version} `);
  });

  it('runs as a numbered user, with the one folder and the engine that the manifests expect', () => {
    expect(lines('USER')).toEqual(['1000:1000']);
    expect(lines('ENV')[0]?.split(' ')).toEqual(
      expect.arrayContaining(['XDG_CACHE_HOME=/opt/cache', 'HOME=/work', 'TMPDIR=/work']),
    );
    expect(text).toMatch(/XDG_CACHE_HOME=\/opt\/cache .*engine install/);
  });
});
