// Tags that may not be given to another manifest.
import type { RegistryError } from '../errors.ts';

/** ECR, Google, Harbor, GitLab: there is no error code for it, only words. */
export function isImmutableTag(error: RegistryError): boolean {
  const text = [error.message, ...error.errors.map((item) => item.message)].join(' ');
  return /immutab|cannot be overwritten|already exists.*overwrit|cannot update tag/i.test(text);
}
