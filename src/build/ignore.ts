// Which ignore rules hold for the build context.
import { resolve } from 'node:path';
import { given } from '../given.ts';
import { bytesFromText } from '../bytes.ts';
import { applyIgnoreFile } from '../context/ignore-file.ts';
import type { IgnoreRules } from '../context/ignore.ts';
import type { SourceTree } from '../context/tree.ts';
import type { DockerfileText } from './dockerfile-file.ts';
import { diskView } from '../files/disk-view.ts';
import type { BuildRequest } from './request.ts';

/** The context with the rules of --ignorefile, of `<Dockerfile>.dockerignore`, or of its own .dockerignore. @throws ERR_CONTEXT */
function withIgnoreFile(tree: SourceTree, request: Pick<BuildRequest, 'ignoreFile'>, file: DockerfileText): SourceTree {
  return applyIgnoreFile(tree, {
    ...given({ dockerfilePath: file.path, ignoreFile: request.ignoreFile }),
  });
}

/** The same rules for a context that is only looked at. */
export function useIgnoreFile(
  contextFolder: string,
  request: Pick<BuildRequest, 'ignoreFile'>,
  file: DockerfileText,
): IgnoreRules | undefined {
  const tree = { files: diskView(bytesFromText(resolve(contextFolder))), label: 'the build context', keepsOwners: false };
  return withIgnoreFile(tree, request, file).ignore;
}
