// What the cache of kaniko is known to get wrong, and the test that shows that ours does not. Numbers are issues of GoogleContainerTools/kaniko;
// with `mz` of osscontainertools/kaniko, its fork.
import { type CaseList, testList } from '../../../support/case-list.ts';

const keys = 'unit/build/cache/keys';
const cache = 'integration/build/layer-cache';
const results = 'integration/build/layer-cache-results';

const list: CaseList = {
  'a result that is stale, or of something else': [
    ['parts of a key that are joined (mz873)', keys, 'keyOf() frames names and values'],
    ['bodies of heredocs (mz822, mz824)', keys, "['the body of a heredoc', run("],
    ['variables in heredocs (mz824)', keys, "'a variable in a heredoc',"],
    ['ignore patterns on files of a stage (mz762)', keys, "'a file of a stage that is called like one that is ignored in the context',"],
    ['whiteouts of a layer (mz774)', results, "name: 'files that were deleted'"],
    ['another architecture (2567, 3350, 2010)', keys, "['the platform',"],
    ['another architecture, under the same key', cache, "name: 'of another platform'"],
    ['a stage that changed (589, 870, 845, 1262, 1348)', keys, "'a step of the stage that is copied from',"],
    [
      'a stage that came out otherwise',
      cache,
      'results of a stage that had to be built again are not mixed with what was made on its former results',
    ],
    ['an argument (690)', keys, "['an argument in scope',"],
    ['what an expansion stands for (1399)', keys, "'what a default in the instruction stands for',"],
    ['stages that are alike on other bases (mz655)', keys, "'the base of the stage that is copied from',"],
    ['triggers of a base (mz896, mz960)', keys, "'a file that a trigger of the base copies',"],
    ['triggers of a stage', results, "name: 'triggers of a stage'"],
    ['names that were exchanged (mz62)', keys, "['which file has which content',"],
    ['an ADD of a URL, for ever', results, 'what ADD downloads is asked for each time'],
  ],
  'a result that is not found again': [
    ['times and owners of a checkout (1240, 1244, 1520)', keys, "['who owns a checkout',"],
    ['times', keys, "['times of a checkout',"],
    ['a base under another name and time (2697)', keys, '["the base\'s labels and times",'],
    ['a layer more from the cache (3429)', results, "name: 'a RUN that changes nothing'"],
    ['a folder that a RUN replaced', results, "name: 'a folder that was made anew'"],
    ['VOLUME (mz637)', keys, 'VOLUME /v'],
    ['ADD of a file', results, "name: 'a stage that stands on another, and an ADD'"],
    ['stages that are alike (mz787, mz789)', results, "name: 'two stages that are alike'"],
    ['what stands behind a miss', cache, 'the default caches RUN and WORKDIR; a COPY is made anew, and what stands on it is found'],
  ],
  'a cache that nobody can see through': [
    ['why a step is executed again (1357)', cache, 'each miss says why'],
    ['readers that do not write (2979)', cache, '--no-push-cache keeps nothing, and takes what is there'],
    ['layers that are sent twice (1138, 1162)', cache, 'a build from the cache sends no layer and fetches none'],
    ['entries that nobody takes away (3089)', 'unit/build/cache/listing', 'chooseStale()'],
  ],
};

testList(list);
