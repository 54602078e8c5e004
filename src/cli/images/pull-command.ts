// `yadokari pull`: an image from any place into the store.
import { BuilderError } from '../../errors.ts';
import { splitDigest } from '../../oci/digest.ts';
import { formatReference, parseReference } from '../../oci/reference.ts';
import type { CopyOptions } from '../../transports/copy.ts';
import { isPlaceName, parsePlace } from '../../transports/places.ts';
import { registryPlace } from '../../transports/transports.ts';
import { obtainImage, pullPolicies } from './obtain-image.ts';
import { type CommandInput, onlyOperand } from '../command.ts';
import { storeOf } from '../requests/store-request.ts';
import { copyOptionsOf, openMeans } from '../requests/transport-request.ts';

/** Pulls, and prints the id of each image. */
export async function runPullCommand(input: CommandInput): Promise<void> {
  const { settings, positionals, env, stdout } = input;
  const text = onlyOperand(positionals, 'pull', 'images', 'yadokari pull alpine:3.22, or a place as oci:FOLDER:NAME');
  const store = storeOf(settings, env);
  const policy = settings.choice('policy', pullPolicies, 'missing');
  const chosen = copyOptionsOf(settings);
  const options: CopyOptions = settings.boolean('all-platforms') ? { ...chosen, selection: { kind: 'all' } } : chosen;
  const names = settings.boolean('all-tags') ? await tagsOf(text, input) : [text];
  for (const name of names) {
    const { image } = await obtainImage(input, store, name, { policy, options });
    stdout.write(`${splitDigest(image.id).hex}\n`);
  }
}

/** Every tag of a repository, as places. */
async function tagsOf(text: string, { settings, env, report, signal }: CommandInput): Promise<readonly string[]> {
  const place = isPlaceName(text) ? parsePlace(text) : registryPlace(parseReference(text));
  const { reference } = place;
  if (reference === undefined)
    throw new BuilderError('ERR_USAGE', `Cannot pull all tags of ${text}: it is in no registry`, {
      hint: 'yadokari load takes all images of an archive',
    });
  if (reference.digest !== undefined || /:[^/]*$/.test(text.slice(text.lastIndexOf('/'))))
    throw new BuilderError('ERR_USAGE', `Cannot pull all tags of ${text}: it names one`);
  await using means = await openMeans(settings, '', { env, emit: report.emit });
  const { registry, repository } = reference;
  return ((await place.listNames?.(means, signal)) ?? []).map((tag) => `docker://${formatReference({ registry, repository, tag })}`);
}
