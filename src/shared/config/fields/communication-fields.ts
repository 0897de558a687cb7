/** Configuration fields of the exchange of gradients between workers. */

import { z } from 'zod';
import { fieldMetadata } from '../field-metadata.js';
import { positiveInt } from '../numbers.js';

export const communicationFields = {
  sharedMemory: z.enum(['auto', 'off']).default('auto').register(fieldMetadata, {
    description:
      'transport between workers of one host; auto: shared memory where it is available, off: sockets',
    flag: '--shared-memory <auto|off>',
    resume: 'free',
  }),
  collective: z.enum(['auto', 'direct', 'hierarchical']).default('auto').register(fieldMetadata, {
    description:
      'all-reduce algorithm; hierarchical: within hosts first, then between hosts; auto: the one with the lower estimated cost',
    flag: '--collective <auto|direct|hierarchical>',
    resume: 'free',
  }),
  gradientDtype: z.enum(['float32', 'bfloat16']).default('float32').register(fieldMetadata, {
    description: 'type of gradients in transit; bfloat16 halves the traffic and rounds each sum',
    flag: '--gradient-dtype <type>',
    resume: 'free',
  }),
  bucketBytes: positiveInt(1_073_741_824).default(524_288).register(fieldMetadata, {
    description: 'size of a gradient bucket; small buckets start earlier, large ones need fewer messages',
    flag: '--bucket-bytes <n>',
    unit: 'bytes',
    resume: 'free',
  }),
};
