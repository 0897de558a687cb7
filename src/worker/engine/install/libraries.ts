/** Copies TensorFlow's libraries and headers into an engine's folder, from one of the sources. */
import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { EngineError } from '../../../shared/errors.js';
import { engineRelease, type EngineVariant } from '../cache.js';
import { cudaLibraries, missingLibraries } from '../cuda.js';
import type { EngineManifest } from '../manifest.js';
import { reportStage } from './stages.js';
import { downloadWheels, tensorflowRequirement } from './pip.js';
import { extractWheel } from './wheel.js';
import { checkWheels, requirePinned } from './wheel-hashes.js';

export interface Provided {
  readonly source: EngineManifest['source'];
  readonly reason: string;
  readonly wheels: EngineManifest['wheels'];
}

/**
 * Copies from a folder with wheels, with a wheel's contents, or with libtensorflow (include/ and lib/).
 * @throws EngineError, also if wheels for the CUDA variant lack a library that TensorFlow needs to use a GPU
 */
export async function provideFrom(
  from: string,
  target: string,
  variant: EngineVariant = 'cpu',
  log: (line: string) => void = () => undefined,
): Promise<Provided> {
  const names = await readdir(from).catch((error: unknown) => {
    throw new EngineError(`--from ${from}: expected a readable folder.`, { path: from }, error);
  });
  const wheels = names.filter((name) => name.endsWith('.whl')).map((name) => path.join(from, name));
  if (wheels.length > 0) {
    // The user has chosen the folder, so only a wheel of a known name has to be that of the release.
    const unpacked = await unpack(wheels, target, 'accepted', log);
    if (variant === 'cuda') await requireCudaLibraries(from, target);
    return { source: 'from', reason: `--from ${from}: wheels`, wheels: unpacked.wheels };
  }
  const places = [
    { libraries: path.join(from, 'tensorflow'), headers: path.join(from, 'tensorflow', 'include') },
    { libraries: path.join(from, 'lib'), headers: path.join(from, 'include') },
  ];
  for (const { libraries, headers } of places) {
    const found = (await readdir(libraries).catch(() => [])).filter((name) =>
      /^libtensorflow(_cc|_framework)?\.(so\.2|2\.dylib)$/.test(name),
    );
    if (
      found.length === 0 ||
      !(await stat(path.join(headers, 'tensorflow', 'c', 'c_api.h')).catch(() => undefined))
    )
      continue;
    await mkdir(path.join(target, 'tensorflow'), { recursive: true });
    for (const name of found)
      await cp(path.join(libraries, name), path.join(target, 'tensorflow', name), { dereference: true });
    await cp(headers, path.join(target, 'tensorflow', 'include'), { recursive: true });
    return { source: 'from', reason: `--from ${from}: libraries in ${libraries}`, wheels: [] };
  }
  throw new EngineError(
    `--from ${from}: expected a TensorFlow wheel (*.whl), its contents (tensorflow/libtensorflow_cc.so.2 and ` +
      'tensorflow/include), or libtensorflow (lib/ and include/), got none of them.',
    { path: from },
  );
}

export interface PypiOptions {
  readonly variant: EngineVariant;
  /** True to accept wheels that the table of this release does not name. */
  readonly unpinned: boolean;
  readonly log: (line: string) => void;
}

/** Downloads from PyPI, or from the index that pip is configured with. @throws EngineError */
export async function providePypi(
  target: string,
  { variant, unpinned, log }: PypiOptions,
): Promise<Provided> {
  const unknown = unpinned ? 'accepted' : 'refused';
  const downloads = path.join(target, 'downloads');
  await mkdir(downloads, { recursive: true });
  const requirement = tensorflowRequirement(variant);
  if (!unpinned) requirePinned(requirement);
  const downloaded = await reportStage(
    log,
    { name: `downloading ${requirement} with pip`, duration: 'hundreds of MB, or from its cache' },
    () => downloadWheels([requirement], downloads),
  );
  const { wheels, cudaRequirements } = await unpack(downloaded, target, unknown, log);
  if (variant === 'cuda') {
    const cuda = path.join(target, 'downloads-cuda');
    await mkdir(cuda, { recursive: true });
    const libraries = await unpack(
      await reportStage(
        log,
        {
          name: `downloading ${cudaRequirements.length} CUDA libraries with pip`,
          duration: 'several GB, minutes',
        },
        () => downloadWheels(cudaRequirements, cuda),
      ),
      target,
      unknown,
      log,
    );
    wheels.push(...libraries.wheels);
    await rm(cuda, { recursive: true });
  }
  await rm(downloads, { recursive: true });
  return { source: 'pypi', reason: `pip download ${requirement}`, wheels };
}

async function requireCudaLibraries(from: string, target: string): Promise<void> {
  const missing = missingLibraries(await cudaLibraries(target));
  if (missing.length === 0) return;
  throw new EngineError(
    `--from ${from}: expected the wheels of the CUDA libraries as well, got none with ${missing.join(', ')}. ` +
      `Fill the folder with \`pip download "tensorflow[and-cuda]==${engineRelease.tensorflowVersion}"\`.`,
    { path: from, missing: missing.join(', ') },
  );
}

interface Unpacked {
  readonly wheels: EngineManifest['wheels'];
  /** Requirements of the wheels' `and-cuda` extras. */
  readonly cudaRequirements: readonly string[];
}

async function unpack(
  wheels: readonly string[],
  target: string,
  unknown: 'refused' | 'accepted',
  log: (line: string) => void,
): Promise<Unpacked> {
  return reportStage(
    log,
    { name: 'checking and unpacking the wheels', duration: 'about ten seconds' },
    async () => {
      const checked = await checkWheels(wheels, unknown);
      const cudaRequirements: string[] = [];
      for (const wheel of wheels)
        cudaRequirements.push(...(await extractWheel(wheel, target)).cudaRequirements);
      return { wheels: checked, cudaRequirements };
    },
  );
}
