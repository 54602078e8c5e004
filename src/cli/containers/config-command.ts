// `yadokari config FLAGS CONTAINER`: what the container's image is going to say of itself.
import type { ContainerState } from '../../containers/state.ts';
import { BuilderError } from '../../errors.ts';
import type { HistoryEntry } from '../../oci/image-config.ts';
import { formatTime } from '../../oci/time.ts';
import type { CommandInput } from '../command.ts';
import { containersOf } from './from-command.ts';
import { applyImageSettings, settingLines } from '../requests/image-settings.ts';

/** Changes the settings of a container, in which nobody has to be stopped for it. */
export async function runConfigureCommand(input: CommandInput): Promise<void> {
  const { settings, positionals, env, report, signal } = input;
  const [name, ...others] = positionals;
  if (name === undefined || others.length > 0) throw new BuilderError('ERR_USAGE', 'Cannot change settings: name one container');
  const odd = ['layer', 'from', 'created'].find((flag) => settings.has(flag));
  if (odd !== undefined)
    throw new BuilderError('ERR_USAGE', `Cannot use --${odd} with a container: it is for a config that is made by hand`);
  const created = formatTime(Date.now());
  const lines = settings.boolean('add-history') ? settingLines(settings) : [];
  const entries = lines.map((createdBy): HistoryEntry => ({ created, createdBy, emptyLayer: true }));
  const change = (state: ContainerState): ContainerState => {
    const { annotations, createdBy, historyComment, history } = state.settings;
    const settled = applyImageSettings({ config: state.config, annotations }, settings, env);
    const [by, comment] = [settings.text('created-by') ?? createdBy, settings.text('history-comment') ?? historyComment];
    return {
      ...state,
      config: settled.config,
      settings: {
        annotations: settled.annotations,
        ...(by === undefined || by === '' ? {} : { createdBy: by }),
        ...(comment === undefined || comment === '' ? {} : { historyComment: comment }),
        history: [...history, ...entries],
      },
    };
  };
  const containers = containersOf(input);
  const { config } = await containers.update(containers.find(name).id, change, signal);
  const { entrypoint = [], cmd = [] } = config.config;
  if (settings.has('entrypoint') && !settings.has('cmd') && entrypoint.length > 0 && cmd.length > 0)
    report.emit({ kind: 'warning', code: 'config-cmd', message: `"${cmd.join(' ')}" stays, and becomes the arguments of the entry point` });
}
