/**
 * The manifest of a cached engine: its versions, its source, and the size, time and SHA-256 of each file. Defines the file
 * format and two checks: the quick one before each load, the full one on `--verify`.
 */
import { readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { EngineError, systemCode } from '../../shared/errors.js';
import { sha256File } from '../../shared/files/sha256-file.js';
import { installCommand, manifestName } from './cache.js';

export const manifestFilesSchema = z
  .array(
    z.object({
      /** Relative to the engine's folder, with forward slashes. */
      path: z.string().min(1),
      bytes: z.number().int().nonnegative(),
      modifiedMs: z.number(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  )
  .min(1);

export const manifestSchema = z.object({
  version: z.literal(1),
  key: z.string().min(1),
  variant: z.enum(['cpu', 'cuda']),
  /** Version that the loaded library reports. */
  tensorflowVersion: z.string().min(1),
  source: z.enum(['from', 'pypi']),
  /** The file or folder, and the reason for which this source was chosen. */
  reason: z.string(),
  /** Unpacked wheels, each with the SHA-256 of the whole file. */
  wheels: z.array(z.object({ name: z.string(), sha256: z.string() })),
  compiler: z.string(),
  /** True if the binding contains Lockstep's own TensorFlow ops. */
  ownKernels: z.boolean(),
  installedAt: z.iso.datetime(),
  files: manifestFilesSchema,
});

export type EngineManifest = z.infer<typeof manifestSchema>;
export type ManifestFile = EngineManifest['files'][number];

const remedyOf = (command: string): string => `Run \`${command} --force\` to install it again.`;
const remedy = remedyOf(installCommand);

/** Reads and parses the manifest in `directory`. @throws EngineError if it is absent or not a manifest */
export async function readManifest(directory: string): Promise<EngineManifest> {
  const file = path.join(directory, manifestName);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new EngineError(
      `Engine manifest: expected ${file}, got ${systemCode(error) ?? 'an error'}. ${remedy}`,
      { path: file },
      error,
    );
  }
  return parseManifest(text, file);
}

/** Parses a manifest's text; `file` names it in errors. */
export function parseManifest(text: string, file: string): EngineManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new EngineError(
      `Engine manifest ${file}: expected JSON, got other text. ${remedy}`,
      { path: file },
      error,
    );
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new EngineError(
    `Engine manifest ${file}: expected version 1 of the format, got ${issue?.message ?? 'something else'} at "${issue?.path.join('.') ?? ''}". ${remedy}`,
    { path: file },
  );
}

/** Returns false for headers: they are needed only for compiling, and the compiled files are checked. */
const headers = 'tensorflow/include/';

/** Describes every file below `directory` but the manifest itself and headers, in order of path. Reads all bytes. */
export async function describeFiles(directory: string): Promise<ManifestFile[]> {
  const files: ManifestFile[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const relative = path.relative(directory, file).split(path.sep).join('/');
    if (relative === manifestName || relative.startsWith(headers)) continue;
    const { size, mtimeMs } = await stat(file);
    files.push({ path: relative, bytes: size, modifiedMs: mtimeMs, sha256: await sha256File(file) });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * Throws EngineError at the first file that does not match the manifest.
 * `quick`: the size of every file, and the SHA-256 of those whose modification time changed. `full`: every SHA-256.
 * @param command installs the engine
 */
export async function verifyFiles(
  directory: string,
  manifest: Pick<EngineManifest, 'files'>,
  mode: 'quick' | 'full',
  command = installCommand,
): Promise<void> {
  const damaged = (file: string, expected: string, got: string): EngineError =>
    new EngineError(`Engine file ${file}: expected ${expected}, got ${got}. ${remedyOf(command)}`, {
      path: file,
      expected,
      got,
    });
  for (const expected of manifest.files) {
    const file = path.join(directory, expected.path);
    const found = await stat(file).catch(() => undefined);
    if (found?.size !== expected.bytes) {
      throw damaged(file, `${expected.bytes} bytes`, found ? `${found.size} bytes` : 'no such file');
    }
    // A copied cache has new times and the same bytes; only a hash can tell it from a damaged one.
    if (mode === 'quick' && Math.abs(found.mtimeMs - expected.modifiedMs) < 1) continue;
    const sha256 = await sha256File(file);
    if (sha256 !== expected.sha256) throw damaged(file, `SHA-256 ${expected.sha256}`, sha256);
  }
}
