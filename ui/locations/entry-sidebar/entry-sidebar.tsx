// What an editor glances at while writing: is this entry in sync with each system, since when, at which version, what failed.
// Asked again every second while somebody looks. An editor may ask for "Sync now"; everything else is the admin's page.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Collapsible } from 'radix-ui'
import { useEffect, useState } from 'react'
import type { EntryStatus, EntrySyncState } from '../../../server/http/contract/extension.ts'
import { Button, counted, Id, Notice, Problem, Waiting } from '../../components/basics.tsx'
import { Icon } from '../../components/icon.tsx'
import { entryStates, State } from '../../components/state.tsx'
import { Time } from '../../components/time.tsx'
import type { HostEntry } from '../../host/host.ts'
import { useHost } from '../../host/host-provider.tsx'
import { TokenNotice, useInstallation } from '../token-notice.tsx'
import { nameOf, summarize } from './summary.ts'

export default function EntrySidebar() {
  const { host } = useHost()
  const [entry, setEntry] = useState(host.entry)
  const [typing, setTyping] = useState(false)
  useEffect(
    () =>
      host.onEntry(change => {
        setTyping(change === 'typing')
        if (change !== 'typing') setEntry(change.entry)
      }),
    [host]
  )
  return (
    <main className="sidebar">
      <h1 className="only-heard">Quayside</h1>
      {entry?.uid ? (
        <SavedEntry entry={entry} uid={entry.uid} typing={typing} />
      ) : (
        <Notice tone="quiet" title="Not saved yet">
          <p>Save this entry once; from then on this panel shows where it is in sync.</p>
        </Notice>
      )}
    </main>
  )
}

function SavedEntry({ entry, uid, typing }: { entry: HostEntry; uid: string; typing: boolean }) {
  const { host, api } = useHost()
  const client = useQueryClient()
  const installation = useInstallation({ everyMs: 30_000 })
  const { contentType, locale, version } = entry
  const about = { contentType, entryUid: uid, locale, branch: host.branch }
  const key = ['entry', contentType, uid, locale, host.branch]
  const status = useQuery({
    queryKey: [...key, version],
    queryFn: ({ signal }) => api.entryStatus({ ...about, version }, signal),
    refetchInterval: query => (query.state.error ? 5000 : 1000),
    // A saved version is a new question, but what was known stands until its answer comes.
    placeholderData: before => before
  })
  const sync = useMutation({
    mutationFn: () => api.syncEntry(about),
    onSuccess: () => client.invalidateQueries({ queryKey: key })
  })

  if (!status.data)
    return status.error ? (
      <Problem error={status.error} retry={() => void status.refetch()} />
    ) : (
      <Waiting label="the state of this entry" lines={5} />
    )
  const { banner, uncovered, syncs } = status.data
  return (
    <>
      <TokenNotice installation={installation.data} />
      {banner && installation.data.token?.status !== 'dead' ? (
        <Notice tone="wait" title={banner}>
          <p>Nothing is lost: what you save is carried over as soon as it goes on.</p>
        </Notice>
      ) : null}
      {status.error ? <Problem error={status.error} /> : null}
      <Headline status={status.data} entry={entry} typing={typing} />
      {syncs.length > 0 ? (
        <>
          <ul className="sidebar-rows">
            {syncs.map(each => (
              <li key={each.syncId}>
                <SyncRow sync={each} name={nameOf(each, syncs)} seen={version} />
              </li>
            ))}
          </ul>
          <div className="row">
            <Button look="primary" busy={sync.isPending && 'Asking…'} onClick={() => sync.mutate()}>
              Sync now
            </Button>
            <output className="meta">
              {sync.data ? (sync.data.queued > 0 ? `${counted(sync.data.queued, 'sync')} asked.` : 'Already waiting to be synced.') : ''}
            </output>
          </div>
          <Problem error={sync.error} />
        </>
      ) : (
        <p className="muted">{uncovered ?? 'No sync carries this entry.'}</p>
      )}
    </>
  )
}

function Headline({ status, entry, typing }: { status: EntryStatus; entry: HostEntry; typing: boolean }) {
  const { tone, icon, word } = summarize(status)
  return (
    <div className={`sidebar-head tone-${tone}`}>
      <Icon name={icon} className={icon === 'turning' ? 'spin' : ''} />
      <div>
        {/* Around the heading, not within it: a status inside would leave the heading without a name. */}
        <div role="status">
          <h2 className="sidebar-title">{word}</h2>
        </div>
        <p className="meta">
          {entry.locale}
          {entry.version === null ? '' : ` · version ${entry.version}`}
          {typing ? ' · unsaved changes stay here' : ''}
        </p>
      </div>
    </div>
  )
}

function SyncRow({ sync, name, seen }: { sync: EntrySyncState; name: string; seen: number | null }) {
  return (
    <Collapsible.Root>
      <Collapsible.Trigger className="sidebar-row">
        <span className="sidebar-row-name">{name}</span>
        <State of={entryStates[sync.state]} />
        <span className="sidebar-row-turn">
          <Icon name="chevron" />
        </span>
        <span className="meta">
          {sync.version === null
            ? 'nothing carried yet'
            : `version ${sync.version}${seen !== null && seen > sync.version ? ` of ${seen}` : ''}`}
          {sync.syncedAt === null ? '' : ' · '}
          {sync.syncedAt === null ? null : <Time at={sync.syncedAt} />}
        </span>
      </Collapsible.Trigger>
      <Collapsible.Content className="sidebar-detail">
        {sync.error ? <Notice tone="bad">{sync.error}</Notice> : null}
        <dl className="facts">
          <dt>Sync</dt>
          <dd>{sync.syncName}</dd>
          <dt>Connection</dt>
          <dd>{sync.connection}</dd>
          <dt>Direction</dt>
          <dd>{sync.direction}</dd>
          <dt>Last change</dt>
          <dd>{sync.syncedAt === null ? 'none yet' : <Time at={sync.syncedAt} />}</dd>
          {sync.cause ? (
            <>
              <dt>Caused by</dt>
              <dd>
                {sync.cause}
                {sync.causeId === null ? null : (
                  <span className="meta">
                    {' '}
                    <Id value={sync.causeId} />
                  </span>
                )}
              </dd>
            </>
          ) : null}
        </dl>
      </Collapsible.Content>
    </Collapsible.Root>
  )
}
