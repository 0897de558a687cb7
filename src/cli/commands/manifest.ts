/** `lockstep manifest kubernetes`: prints the objects with which a cluster runs a training. */

import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { exitStatus } from '../../shared/exit-status.js';
import { keysSecret } from '../manifest/job-parts.js';
import { kinds } from '../manifest/kinds.js';
import { planManifest, type ManifestFlags } from '../manifest/manifest-plan.js';

/**
 * @param options further options of the coordinator or of `train`
 * @throws ConfigError naming the option that is wrong
 */
export function manifest(_target: string, options: readonly string[], flags: ManifestFlags): number {
  const plan = planManifest(flags, options);
  const secret = flags.keys === undefined ? [] : [keysSecret(plan, resolve(flags.keys))];
  const objects = [...secret, ...kinds[plan.kind](plan)];
  // An alias is valid YAML, but people who edit one object would change two.
  const texts = objects.map((object) => stringify(object, { aliasDuplicateObjects: false, lineWidth: 0 }));
  process.stdout.write(texts.join('---\n'));
  if (flags.keys === undefined)
    process.stderr.write(
      `The manifest needs the Secret ${plan.secret} with the files of \`lockstep keygen\`. --keys DIR prints it as well.\n`,
    );
  if (plan.claim === null)
    process.stderr.write(
      'Without --claim, the run is lost with the pod of its coordinator. Name a persistent volume claim to keep it.\n',
    );
  return exitStatus.done;
}
