/** Reads the files of a run: its configuration and its event log. */

import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { usableCores } from '../environment/cgroup.js';
import { describeIssues, resolveConfig } from '../options/resolve.js';
import { resolvedConfigSchema, runConfigSchema, type ResolvedConfig } from '../../shared/config/run-config.js';
import { compiledName } from '../../shared/artefacts/artefact.js';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { bulky, readEvents } from '../../shared/runs/read-events.js';

/** Name of the configuration file in a run's folder. */
export const configName = 'config.json';

/**
 * Returns the loss and the metrics that the definition's `model.compile` chose; none if the definition has its own.
 * @param modelJson path of the saved model.json
 */
export async function compiledFields(modelJson: string): Promise<Partial<Pick<ResolvedConfig, 'loss' | 'metrics'>>> {
  const file = join(dirname(modelJson), compiledName);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR') return {};
    throw new ConfigError(`${file} can't be read (${systemCode(cause) ?? 'unknown error'}).`, { file }, cause);
  }
  try {
    const { loss, metrics } = resolvedConfigSchema.parse(JSON.parse(text));
    return { loss, metrics };
  } catch (cause) {
    throw new ConfigError(
      `${file}: expected the configuration that a run has written, got other text. Restore the file.`,
      { file },
      cause,
    );
  }
}

/** Returns the SHA-256 of the data that a run was trained on last, from its event log; undefined if there is no such log. */
export async function trainedOn(directory: string): Promise<string | undefined> {
  let sha256: string | undefined;
  try {
    for await (const event of readEvents(directory, [...bulky, 'step']))
      if (event.event === 'start') sha256 = event.dataSha256;
  } catch {
    // A model that was copied without its run, or a log that this user may not read.
  }
  return sha256;
}

/** Returns the configuration of a run, or the defaults for a model outside of a run's folder. @throws ConfigError */
export async function readRunConfig(directory: string): Promise<ResolvedConfig> {
  const file = join(directory, configName);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR') {
      return resolveConfig(runConfigSchema.parse({ workers: 1 }), {
        cores: usableCores(),
        gpus: [],
      });
    }
    throw new ConfigError(
      `Config ${file} can't be read (${systemCode(cause) ?? 'unknown error'}).`,
      { file },
      cause,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(
      `Config ${file}: expected JSON, got other text. Restore the file, or delete it.`,
      { file },
      cause,
    );
  }
  const parsed = resolvedConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ConfigError(`Config ${file} is not valid:\n${describeIssues(parsed.error, value, () => '')}`, {
    file,
  });
}
