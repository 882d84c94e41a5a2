// One line for the whole entry and locale, from what each sync says. Pure: these words are what an editor reads at a glance.
import type { EntryStatus, EntrySyncState } from '../../../server/http/contract/extension.ts'
import type { Look } from '../../components/state.tsx'

type State = EntrySyncState['state']
type Named = Pick<EntrySyncState, 'system' | 'connection'>

/** Worst first: what decides the line when states differ. */
const order: State[] = ['failing', 'held', 'behind', 'syncing', 'never', 'paused', 'in_sync']

export function summarize({ syncs }: Pick<EntryStatus, 'syncs'>): Look {
  const all = syncs.length
  const inSync = syncs.filter(sync => sync.state === 'in_sync').length
  const worst = order.find(state => syncs.some(sync => sync.state === state))
  const some = `In sync with ${inSync} of ${all} systems`
  switch (worst) {
    case undefined:
      return { tone: 'quiet', icon: 'none', word: 'No sync covers this entry' }
    case 'failing':
      return { tone: 'bad', icon: 'failing', word: inSync > 0 ? some : `Failing to reach ${systems(all)}` }
    case 'held':
      return { tone: 'wait', icon: 'held', word: inSync > 0 ? some : 'On hold' }
    case 'behind':
      return { tone: 'wait', icon: 'behind', word: inSync > 0 ? some : `Behind in ${systems(all)}` }
    case 'syncing':
      return { tone: 'moving', icon: 'turning', word: 'Syncing' }
    case 'never':
      return { tone: 'quiet', icon: 'none', word: inSync > 0 ? some : 'Not synced yet' }
    case 'paused':
      return { tone: 'quiet', icon: 'paused', word: inSync > 0 ? some : 'Paused' }
    case 'in_sync':
      return {
        tone: 'good',
        icon: 'checked',
        word: all === 1 ? `In sync with ${syncs[0]?.system ?? 'its system'}` : `In sync with all ${all} systems`
      }
  }
}

/** Two rows that only say 'SQLite' could not be told apart: then each names its connection. */
export function nameOf(sync: Named, all: readonly Named[]): string {
  return all.filter(other => other.system === sync.system).length > 1 ? `${sync.system} · ${sync.connection}` : sync.system
}

function systems(count: number): string {
  return count === 1 ? 'its system' : `${count} systems`
}
