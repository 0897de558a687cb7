/** The bundle of `npm run verify:gpu`, made and run as docs/gpu.md says, on a software driver. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';
import { gpuTitle, missingGpu, softwareGpuEnvironment } from '../support/software-gpu.js';

interface Results {
  readonly about: Readonly<Record<string, string>>;
  readonly stages: readonly { name: string; state: string; reason?: string; rows: [string, string][] }[];
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** Runs a program to its end. */
function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv },
): Promise<Ended> {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output }));
  });
}

/** The programs that docs/gpu.md requires of the machine, and those that every Linux has; neither Node nor xz. */
const programs = ['sh', 'tar', 'ldconfig', 'dirname', 'mktemp', 'mkdir', 'ln', 'rm'];

/** Creates a folder with these programs alone, for PATH. */
async function linkPrograms(folder: string): Promise<void> {
  await mkdir(folder);
  for (const name of programs) {
    const found = ['/usr/bin', '/bin', '/usr/sbin', '/sbin']
      .map((directory) => join(directory, name))
      .find((file) => existsSync(file));
    if (found === undefined) throw new Error(`Expected the program ${name} on this machine, got none.`);
    await symlink(found, join(folder, name));
  }
}

describe.skipIf(missingGpu !== undefined)(gpuTitle('the bundle that checks a GPU'), () => {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  let folder: string;
  let bundle: string;
  let bin: string;
  let made: Ended;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lockstep-gpu-bundle-'));
    [bundle, bin] = [join(folder, 'gpu check'), join(folder, 'bin')];
    await linkPrograms(bin);
    // The lowest level is the fastest; docs/gpu.md has the size at the default level.
    const jiti = join(root, 'node_modules/jiti/lib/jiti-cli.mjs');
    const args = [jiti, join(root, 'scripts/verify-gpu.ts'), '--bundle', bundle, '--level', '0'];
    made = await run(process.execPath, args, { cwd: root });
  }, 600_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** Runs the bundle in an empty folder, without any variable but those of the driver. */
  async function check(...options: readonly string[]) {
    const [cwd, temporary] = [await temporaryFolder(), await temporaryFolder()];
    const { VK_DRIVER_FILES, LD_LIBRARY_PATH } = softwareGpuEnvironment;
    const env = { PATH: bin, TMPDIR: temporary, VK_DRIVER_FILES, LD_LIBRARY_PATH };
    const ended = run(join(bin, 'sh'), [join(bundle, 'verify-gpu.sh'), ...options], { cwd, env });
    const results = (): Results | undefined => {
      const file = join(cwd, 'results', 'results.json');
      return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Results) : undefined;
    };
    return { cwd, temporary, ended, results };
  }

  it('is refused with its size if it is larger than 45 MB, as at the lowest level of compression', async () => {
    expect(made.status, made.output).toBe(1);
    const [, bytes = ''] =
      /expected at most 45000000 bytes, got (\d+) in .*Compress it with a higher --level/.exec(made.output) ??
      [];
    expect(Number(bytes)).toBeGreaterThan(45e6);
    expect((await readdir(bundle)).sort()).toEqual([
      'README.txt',
      'lockstep.tar.xz',
      'programs.tar.xz',
      'verify-gpu.sh',
      'xz',
    ]);
  });

  it('runs on a machine without Node and xz, writes its results after each stage, and leaves nothing else behind', async () => {
    const { cwd, temporary, ended, results } = await check(
      '--software',
      '--stages',
      'adapter,oracle',
      '--out',
      'results',
    );
    const first = await Promise.race([
      eventually('the result of the first stage', () => (results()?.stages.length ?? 0) > 0 && results()),
      ended.then(({ output }) => output),
    ]);
    expect(first).toMatchObject({ stages: [{ name: 'adapter', state: 'passed' }] });
    expect(readFileSync(join(cwd, 'results', 'table.txt'), 'utf8')).toMatch(/\nPASSED {2}[^\n]*\n[^]*$/);
    const { status, output } = await ended;
    expect(status, output).toBe(0);
    const { about, stages } = results() ?? { about: {}, stages: [] };
    expect(about['Adapter']).toMatch(/swiftshader|llvmpipe/i);
    expect(stages.map(({ name, state }) => [name, state])).toEqual([
      ['adapter', 'passed'],
      ['oracle', 'passed'],
    ]);
    const table = readFileSync(join(cwd, 'results', 'table.txt'), 'utf8');
    expect(table.match(/^PASSED /gm)).toHaveLength(2);
    for (const [name, value] of stages.flatMap(({ rows }) => rows)) {
      expect(table).toContain(name);
      expect(table).toContain(value);
    }
    expect(await readdir(cwd)).toEqual(['results']);
    expect((await readdir(join(cwd, 'results'))).sort()).toEqual(['results.json', 'table.txt']);
    expect(await readdir(temporary)).toEqual([]);
  }, 600_000);

  it('refuses a stage that does not exist, with the names of all stages, before it creates a file', async () => {
    const { cwd, temporary, ended } = await check('--stages', 'adapter,speed', '--out', 'results');
    const { status, output } = await ended;
    expect(status, output).toBe(2);
    expect(output).toMatch(
      /--stages: expected adapter, oracle, bits, recover, epoch, pytorch, memory, kernels, got speed\./,
    );
    expect(await readdir(cwd)).toEqual([]);
    expect(await readdir(temporary)).toEqual([]);
  });
});
