/**
 * Runs a container of a manifest as a pod would: as PID 1 with a root of its own that is read-only, the user, the variables and the mounts
 * of the manifest, a network address of its own, a hosts file in place of DNS, and 64 MB of shared memory. Needs the privileges of root.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PodTemplate } from './kubernetes-schemas.js';
import { Lockstep, descendants } from './lockstep.js';
import { canHaveHosts, type TestHost } from './test-hosts.js';

const project = fileURLToPath(new URL('../../', import.meta.url));
/** Folder of the image in which the Dockerfile installs Lockstep. */
const installed = '/opt/lockstep';
/** The user that a cluster such as OpenShift assigns; its group is root's. */
const assignedUser = 1_000_720_000;
const path = '/opt/node:/usr/bin:/bin';

/** The reason to skip a test that needs pods; undefined if it can run. */
export const noPods =
  canHaveHosts && spawnSync('setpriv', ['--version']).status === 0
    ? undefined
    : 'needs root, network namespaces and setpriv';

export interface PodSettings {
  /** The pod's name, which is its host name. */
  readonly name: string;
  readonly template: PodTemplate;
  /** Folder of the test. Each pod has folders in it, and sees the folder `image`. */
  readonly base: string;
  /** Folder with the definition and the data, at the same path in the pod. */
  readonly image: string;
  /** Files of the Secret by key. */
  readonly secret: Readonly<Record<string, Buffer>>;
  /** Values that Kubernetes takes from the pod: those of annotations, and variables that a controller adds. */
  readonly given: Readonly<Record<string, string>>;
  /** The hosts file of all pods, which a test may change. */
  readonly hosts: string;
}

/** Starts the container of the pod. Its process has the PID `podProcess` returns. */
export function startPod(host: TestHost, settings: PodSettings): Lockstep {
  const { name, template, base } = settings;
  const own = join(base, `pod-${name}-${started++}`);
  const root = join(own, 'root');
  mkdirSync(root, { recursive: true });
  const { spec } = template;
  const [container] = spec.containers;
  const user = Number(spec.securityContext['runAsUser'] ?? assignedUser);
  const group = Number(spec.securityContext['runAsGroup'] ?? 0);
  const fsGroup = Number(spec.securityContext['fsGroup'] ?? 0);
  const mounts = container.volumeMounts.map(({ name: volume, mountPath, readOnly = false }) => {
    const described = spec.volumes.find((one) => one.name === volume);
    const claim = described?.persistentVolumeClaim?.claimName;
    const source = claim === undefined ? join(own, volume) : join(base, `claim-${claim}`);
    if (described?.secret) mountSecret(source, described.secret, settings.secret, fsGroup);
    else makeVolume(source, fsGroup);
    return { source, mountPath, readOnly };
  });
  const script = join(own, 'start.sh');
  writeFileSync(script, startScript({ root, mounts, settings, user, group, fsGroup }));
  const command = ['unshare', '-m', '-u', '--pid', '--fork', '--kill-child', 'sh', script];
  const [first = '', ...args] = [...container.command, ...container.args];
  return new Lockstep(args.slice(1), {
    within: [...host.within, ...command],
    node: first,
    command: args[0] ?? '',
    cwd: '/',
    env: {},
  });
}

let started = 0;

/** Returns the PID of the container's process, which is the innermost one of the commands that start it. */
export async function podProcess(pod: Lockstep): Promise<number> {
  const below = await descendants(pod.pid);
  const found = below.find((pid) => isFirstOfNamespace(pid));
  if (found === undefined) throw new Error(`Expected a process with PID 1 below ${pod.pid}.`);
  return found;
}

/** Each level of PID namespaces has a number in the line; that of the test comes first and that of the pod last. */
function isFirstOfNamespace(pid: number): boolean {
  const { stdout } = spawnSync('grep', ['^NSpid:', `/proc/${pid}/status`], { encoding: 'utf8' });
  const numbers = stdout.trim().split(/\s+/).slice(1);
  return numbers.length >= 3 && numbers.at(-1) === '1';
}

interface Start {
  readonly root: string;
  readonly mounts: readonly {
    readonly source: string;
    readonly mountPath: string;
    readonly readOnly: boolean;
  }[];
  readonly settings: PodSettings;
  readonly user: number;
  readonly group: number;
  readonly fsGroup: number;
}

/** Builds the root in a private mount namespace, and then becomes the container's process. */
function startScript({ root, mounts, settings, user, group, fsGroup }: Start): string {
  const inside = (folder: string): string => `"${root}${folder}"`;
  const bind = (source: string, target: string, flags: string): string[] => [
    `mkdir -p ${inside(target)}`,
    `mount --bind "${source}" ${inside(target)}`,
    ...(flags === 'ro' ? [`mount -o remount,bind,ro ${inside(target)}`] : []),
  ];
  const devices = ['null', 'zero', 'random', 'urandom'].flatMap((name) => [
    `touch ${inside(`/dev/${name}`)}`,
    `mount --bind /dev/${name} ${inside(`/dev/${name}`)}`,
  ]);
  const variables = variablesOf(settings);
  const identity = `--reuid ${user} --regid ${group} --groups ${fsGroup}`;
  const rights = '--no-new-privs --inh-caps=-all --bounding-set=-all';
  return [
    'set -e',
    `hostname ${settings.name}`,
    'mount --make-rprivate /',
    `mount -t tmpfs -o mode=755 tmpfs "${root}"`,
    `mkdir -p ${inside('/etc')} ${inside('/dev/shm')} ${inside('/proc')} ${inside('/tmp')} ${inside('/opt/node')} ${inside('/usr')}`,
    `for name in bin lib lib64 sbin; do ln -s usr/$name "${root}/$name"; done`,
    ...bind('/usr', '/usr', 'ro'),
    ...devices,
    `mount -t tmpfs -o size=64m,mode=1777 tmpfs ${inside('/dev/shm')}`,
    `mount -t proc proc ${inside('/proc')}`,
    `touch ${inside('/etc/hosts')} ${inside('/opt/node/node')}`,
    `mount --bind "${settings.hosts}" ${inside('/etc/hosts')}`,
    `mount --bind "${process.execPath}" ${inside('/opt/node/node')}`,
    ...bind(project, installed, 'ro'),
    ...bind(settings.image, settings.image, 'ro'),
    ...mounts.flatMap(({ source, mountPath, readOnly }) => bind(source, mountPath, readOnly ? 'ro' : 'rw')),
    `mount -o remount,ro "${root}"`,
    // The arguments of this script are the container's command.
    `exec chroot "${root}" /usr/bin/setpriv ${identity} ${rights} /usr/bin/env -i ${variables} "$@"`,
  ].join('\n');
}

/** The variables of the container, with the references that Kubernetes replaces. */
function variablesOf({ template, given }: PodSettings): string {
  const values: Record<string, string> = { PATH: path, ...given };
  for (const { name, value, valueFrom } of template.spec.containers[0].env) {
    if (valueFrom !== undefined && values[name] === undefined) throw new Error(`${name}: no value is given`);
    if (value !== undefined)
      values[name] = value.replaceAll(/\$\((\w+)\)/g, (_, reference: string) => values[reference] ?? '');
  }
  return Object.entries(values)
    .map(([name, value]) => `'${name}=${value}'`)
    .join(' ');
}

/**
 * A volume, which kubelet makes writable for everybody and gives to the pod's group. That of a claim has the files of earlier pods.
 */
function makeVolume(folder: string, group: number): void {
  mkdirSync(folder, { recursive: true });
  chownSync(folder, 0, group);
  chmodSync(folder, 0o2777);
}

/** The files of a Secret as kubelet lays them out: links through `..data` to the folder of the present version. */
function mountSecret(
  folder: string,
  {
    defaultMode,
    items,
  }: { readonly defaultMode: number; readonly items: readonly { key: string; path: string }[] },
  contents: Readonly<Record<string, Buffer>>,
  group: number,
): void {
  const version = '..2026_01_31_12_00_00.2718281828';
  mkdirSync(folder);
  chownSync(folder, 0, group);
  chmodSync(folder, 0o3777);
  mkdirSync(join(folder, version), { mode: 0o755 });
  symlinkSync(version, join(folder, '..data'));
  for (const { key, path: name } of items) {
    const content = contents[key];
    if (content === undefined) throw new Error(`The Secret has no entry ${key}.`);
    const file = join(folder, version, name);
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, content);
    chmodSync(file, defaultMode);
    chownSync(file, 0, group);
  }
  for (const name of new Set(items.map(({ path: full }) => full.split('/')[0] ?? '')))
    symlinkSync(join('..data', name), join(folder, name));
}
