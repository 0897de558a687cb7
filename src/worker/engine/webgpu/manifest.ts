/** The manifest of the engine `webgpu`. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../shared/errors.js';
import { manifestName } from '../cache.js';
import { manifestFilesSchema, verifyFiles } from '../manifest.js';
import { requireTrusted } from '../trust.js';
import { installWebgpuCommand } from './packages.js';

const webgpuManifestSchema = z.object({
  version: z.literal(1),
  packages: z.array(z.object({ name: z.string(), version: z.string(), integrity: z.string() })),
  installedAt: z.iso.datetime(),
  files: manifestFilesSchema,
});

export type WebgpuManifest = z.infer<typeof webgpuManifestSchema>;

/** Returns the manifest of a folder whose files match it. @throws EngineError if they do not, or others can change them */
export async function verifiedWebgpuManifest(
  directory: string,
  mode: 'quick' | 'full' = 'quick',
): Promise<WebgpuManifest> {
  requireTrusted(directory);
  const manifest = await readWebgpuManifest(directory);
  await verifyFiles(directory, manifest, mode, installWebgpuCommand);
  return manifest;
}

/** @throws EngineError if the file is absent or is no manifest of this version */
async function readWebgpuManifest(directory: string): Promise<WebgpuManifest> {
  const file = path.join(directory, manifestName);
  try {
    return webgpuManifestSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    throw new EngineError(
      `Engine manifest ${file}: expected version 1 of the format, got something else. Run \`${installWebgpuCommand} --force\`.`,
      { path: file },
      error,
    );
  }
}
