/** Installs the native engine into the cache, from the first source that works. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EngineError, OperationalError } from '../../../shared/errors.js';
import {
  bindingName,
  bindingPrefix,
  engineDirectory,
  engineKey,
  engineRoot,
  findCachedEngine,
  findPackageEngine,
  manifestName,
  memoryName,
  memoryPrefix,
  packageDirectory,
  type EngineHost,
  type EngineVariant,
} from '../cache.js';
import { whyNoGpu } from '../cuda.js';
import { describeFiles, readManifest, verifyFiles, type EngineManifest } from '../manifest.js';
import { requireTrusted } from '../trust.js';
import { probeBinding } from '../probe.js';
import { runProgram } from '../process.js';
import { compileBinding, compileMemory } from './compile.js';
import { draftOf, exclusively, publishDraft } from './exclusive.js';
import { provideFrom, providePypi, type Provided } from './libraries.js';
import { reportStage, secondsSince } from './stages.js';

export interface InstallOptions {
  readonly host: EngineHost;
  readonly variant: EngineVariant;
  /** Folder to install from, instead of the other sources. */
  readonly from?: string | undefined;
  /** Installs again, replacing an existing engine. */
  readonly force?: boolean | undefined;
  /** Checks the SHA-256 of every file of an existing engine. */
  readonly verify?: boolean | undefined;
  /** Accepts downloads whose SHA-256 this release does not know. */
  readonly unpinned?: boolean | undefined;
  readonly log: (line: string) => void;
}

/** Maximum disk space that the unpacked libraries, headers and downloads need. */
const neededBytes: Record<EngineVariant, number> = { cpu: 1.5 * 2 ** 30, cuda: 12 * 2 ** 30 };

/**
 * Provides an engine from the first source that works: the existing one, `from`, a PyPI wheel, with `unpinned` the package's own
 * download.
 * Waits while another process installs, and then uses that engine. Returns the engine's folder.
 * @throws EngineError listing each source and why it failed.
 */
export async function installEngine(options: InstallOptions): Promise<string> {
  const { host, variant, log } = options;
  const directory = engineDirectory(host, variant);
  const onWait = (lock: string): void =>
    log(`Engine: another process is installing; waiting for it to end (its lock: ${lock}) ...`);
  return exclusively(
    directory,
    async () => {
      const present = options.force || options.from !== undefined ? undefined : await takePresent(options);
      return present ?? installNew(options);
    },
    onWait,
  );
}

/** Returns the existing engine, with its binding compiled again if Lockstep's native sources have changed. */
async function takePresent({ host, variant, verify, log }: InstallOptions): Promise<string | undefined> {
  const found = findCachedEngine(host, variant);
  const directory = engineDirectory(host, variant);
  try {
    const manifest = await readManifest(directory);
    requireTrusted(directory);
    if (found) {
      await verifyFiles(directory, manifest, verify ? 'full' : 'quick');
      log(`Engine: TensorFlow ${manifest.tensorflowVersion} is there already, in ${directory}.`);
      return directory;
    }
    log("Engine: Lockstep's native sources have changed.");
    const { files, ...rest } = manifest;
    const libraries = files.filter(({ path: name }) => !isCompiled(name));
    await verifyFiles(directory, { ...manifest, files: libraries }, 'quick');
    await finish(host, directory, rest, log);
    return directory;
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    if (found) log(`Engine in ${directory} is not usable, installing it again: ${error.message}`);
    return undefined;
  }
}

async function installNew({ host, variant, from, unpinned = false, log }: InstallOptions): Promise<string> {
  const directory = engineDirectory(host, variant);
  const draft = draftOf(directory);
  const startMs = performance.now();
  const failures: string[] = [];
  const sources: readonly (readonly [string, () => Promise<Provided>])[] =
    from !== undefined
      ? [[`--from ${from}`, () => provideFrom(from, draft, variant, log)]]
      : [['PyPI wheel', () => providePypi(draft, { variant, unpinned, log })]];
  for (const [name, provide] of sources) {
    try {
      await requireSpace(engineRoot(host), neededBytes[variant]);
      await mkdir(draft, { recursive: true });
      const provided = await provide();
      await finish(host, draft, { ...provided, variant }, log);
      await publishDraft(draft, directory);
      log(`Engine: installed in ${directory}, from ${provided.reason}, after ${secondsSince(startMs)} s.`);
      return directory;
    } catch (error) {
      await rm(draft, { recursive: true, force: true });
      if (!(error instanceof OperationalError)) throw error;
      failures.push(`${name}: ${error.message}`);
    }
  }
  // The script of the package compares no hash.
  if (from === undefined && unpinned) {
    const failure = await packageDownload(host, log);
    if (failure === undefined) return packageDirectory(host) ?? directory;
    failures.push(`the package's own download: ${failure}`);
  }
  throw new EngineError(
    `Installing TensorFlow: no source worked.\n${failures.map((failure) => `  - ${failure}`).join('\n')}\n` +
      'Download a TensorFlow wheel on another machine and run `lockstep engine install --from DIR`, ' +
      'or train without it, several times slower: `--engine wasm`.',
  );
}

/** Returns true for files of an engine that depend on Lockstep's native sources. */
function isCompiled(name: string): boolean {
  return name.startsWith(bindingPrefix) || name.startsWith(memoryPrefix);
}

/** Compiles and tries the binding in `directory`, then writes the manifest of all files, which comes last. */
async function finish(
  host: EngineHost,
  directory: string,
  about: Pick<EngineManifest, 'variant' | 'source' | 'reason' | 'wheels'>,
  log: (line: string) => void,
): Promise<void> {
  const draft = path.join(directory, `draft-${process.pid}.node`);
  const { compiler, ownKernels } = await reportStage(
    log,
    { name: "compiling the binding and Lockstep's kernels", duration: 'one to two minutes' },
    () => compileBinding(host, directory, draft, log),
  );
  const { tensorflowVersion, gpu } = await reportStage(
    log,
    { name: 'loading TensorFlow for a first computation', duration: 'a few seconds' },
    () => probeBinding(draft),
  );
  if (about.variant === 'cuda' && !gpu)
    log(`Warning: TensorFlow uses no GPU and computes on the CPU. ${await whyNoGpu(directory)}`);
  const memoryDraft = path.join(directory, `draft-${process.pid}-memory.node`);
  const withoutMemory = await reportStage(
    log,
    { name: 'compiling the addon for shared memory', duration: 'a few seconds' },
    () => compileMemory(compiler, memoryDraft),
  );
  for (const name of await readdir(directory)) {
    if (isCompiled(name)) await rm(path.join(directory, name));
  }
  if (withoutMemory === undefined) await rename(memoryDraft, path.join(directory, memoryName()));
  else
    log(`Warning: workers of one host will not share memory (${withoutMemory}); they use sockets, slower.`);
  await rename(draft, path.join(directory, bindingName()));
  const manifest: EngineManifest = {
    version: 1,
    key: engineKey(about.variant),
    ...about,
    wheels: [...about.wheels],
    tensorflowVersion,
    compiler,
    ownKernels,
    installedAt: new Date().toISOString(),
    files: await reportStage(log, { name: 'hashing the files', duration: 'a few seconds' }, () =>
      describeFiles(directory),
    ),
  };
  const file = path.join(directory, manifestName);
  await writeFile(`${file}.draft`, JSON.stringify(manifest, undefined, 2));
  await rename(`${file}.draft`, file);
}

/** Runs tfjs-node-gpu's own script, which downloads libtensorflow 2.9.1 (CUDA 11.2). Returns the reason if it fails. */
async function packageDownload(host: EngineHost, log: (line: string) => void): Promise<string | undefined> {
  const cwd = packageDirectory(host);
  if (cwd === undefined) return 'the package tfjs-node-gpu is not there';
  if (!existsSync(path.join(cwd, 'scripts', 'install.js')))
    return 'Lockstep brings the package without its script';
  log("Engine: trying the package's own download (libtensorflow 2.9.1) ...");
  const kind = process.platform === 'darwin' ? 'cpu' : 'gpu';
  const { failure } = await runProgram(process.execPath, ['scripts/install.js', kind, 'download'], {
    cwd,
    timeoutMs: 10 * 60_000,
  });
  const found = findPackageEngine(host);
  if (!found) return failure || 'no binding came of it';
  try {
    await probeBinding(found.binding);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function requireSpace(root: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(root);
  if (bavail * bsize >= bytes) return;
  const gigabytes = (count: number): string => `${(count / 2 ** 30).toFixed(1)} GB`;
  throw new EngineError(
    `Engine cache ${root}: expected ${gigabytes(bytes)} of free space, got ${gigabytes(bavail * bsize)}. Free some, or set XDG_CACHE_HOME.`,
    { path: root },
  );
}
