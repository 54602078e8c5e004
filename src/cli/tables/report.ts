// Files that tell of a build, for programs and for people. All but the metadata are written also where the build fails.
import type { FlagSpec } from '../flags.ts';
import { text } from './flag.ts';

export const reportFlags: readonly FlagSpec[] = [
  text('metadata-file', 'FILE', "write digests and names as JSON here, with buildx's keys"),
  text('iidfile', 'FILE', "write the image's ID, the digest of its config, here"),
  text('events-file', 'FILE', 'write all that happens here, one JSON object a line', {
    details: 'write all that happens here while it does, one JSON object a line, as docs/events.schema.json has it',
  }),
  text('report', 'FILE', 'write a page for people here: timeline, CPU and memory, cost of each line', {
    details: 'write one HTML page here, also where the build fails: timeline, CPU and memory, what came from the cache, cost of each line',
  }),
  text('junit-file', 'FILE', 'write a JUnit report here: a suite for each stage, a case for each step'),
  text('dotenv-file', 'FILE', "write IMAGE_DIGEST=… and IMAGE=NAME@DIGEST here, as GitLab's dotenv reports have it"),
];
