// The flags of `steps`, by the names of gcloud builds submit and az acr run.
import type { FlagGroup } from '../flags.ts';
import { group, inert, list, text, toggle, unsupported } from './flag.ts';
import { logFlags } from './log.ts';
import { hostFlags } from './registry.ts';
import { storeFlags } from './store-root.ts';

const ofService = 'it runs here, not at the service';

export const stepsGroups: readonly FlagGroup[] = [
  group('What to run', [
    text('file', 'FILE', 'cloudbuild.yaml, acr-task.yaml', {
      short: 'f',
      aliases: ['config'],
      isCommon: true,
      details: 'a config of Google Cloud Build or a task of ACR, also in the folder (default: the one that is there)',
    }),
    list('substitutions', '_NAME=VALUE,…', 'substitutions of Cloud Build', {
      isCommon: true,
      empty: 'no item',
      details: 'substitutions of Cloud Build, those that it has itself, too: PROJECT_ID, COMMIT_SHA',
    }),
    text('project', 'ID', 'as --substitutions PROJECT_ID=ID'),
    text('region', 'NAME', 'as --substitutions LOCATION=NAME'),
    list('set', 'NAME=VALUE', '{{.Values.NAME}} of an ACR task', { isCommon: true, empty: 'no item' }),
    list('set-secret', 'NAME[=VALUE]', 'the same, or {{.Secrets.NAME}}, not told in the log', {
      empty: 'no item',
      details: 'the same, or {{.Secrets.NAME}}, not told in the log; without a value that of the variable NAME',
    }),
    text('registry', 'HOST', '$Registry of an ACR task', {
      short: 'r',
      isCommon: true,
      details: '$Registry of an ACR task, and where it pushes names without a registry',
    }),
    text('id', 'ID', '$BUILD_ID, $ID of an ACR task (default: a new one)'),
    toggle('dry-run', 'print what each step becomes', { isCommon: true }),
    ...['machine-type', 'disk-size', 'gcs-source-staging-dir', 'gcs-log-dir', 'platform', 'agent-pool'].map((name) =>
      inert('text', name, ofService),
    ),
    ...['suppress-logs', 'no-logs', 'no-format'].map((name) => inert('boolean', name, ofService)),
    unsupported('text', 'tag', 'without a file that is yadokari build --push --tag IMAGE', { short: 't' }),
    unsupported('boolean', 'async', ofService),
    unsupported('boolean', 'no-wait', ofService),
    unsupported('text', 'timeout', 'the file has timeouts'),
    unsupported('text', 'ignore-file', 'nothing is uploaded: .dockerignore says what a build may read'),
  ]),
  group('Registries', [
    ...hostFlags,
    unsupported('boolean', 'insecure', 'steps may use several registries: say which by --insecure-registry HOST'),
  ]),
  group('The store', storeFlags),
  group('What is told', logFlags),
];
