// The metadata server of an EC2 machine, version 2: a session first, then the role of the machine and its keys.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
import type { CloudAccess, CloudAnswer } from '../ask.ts';

const task = 'get AWS credentials from the instance metadata';

/**
 * The answer with the keys; undefined where no such server answers within a second, or the machine has no role. Version 1 is asked
 * where version 2 is refused or its answer does not get here (a hop limit of 1 ends at the node), if `allowsV1`.
 */
export async function askMetadata(
  access: CloudAccess,
  base: URL,
  allowsV1: boolean,
  signal: AbortSignal,
): Promise<CloudAnswer | undefined> {
  const at = (path: string): URL => new URL(path, base);
  const session = await access.probe(
    { method: 'PUT', url: at('/latest/api/token'), headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '300' }, task },
    signal,
  );
  const isV2 = session?.status === 200;
  if (!isV2 && !allowsV1) return undefined;
  const headers = isV2 ? { 'x-aws-ec2-metadata-token': session.text.trim() } : {};
  const folder = '/latest/meta-data/iam/security-credentials/';
  const roles = await access.probe({ method: 'GET', url: at(folder), headers, task }, signal);
  const role = roles?.status === 200 ? (roles.text.split('\n', 1)[0]?.trim() ?? '') : '';
  if (!/^[\w+=,.@-]{1,128}$/.test(role)) return undefined;
  const answer = await access.askBeside({ method: 'GET', url: at(`${folder}${role}`), headers, task }, signal);
  return answer.status === 200 ? answer : undefined;
}
