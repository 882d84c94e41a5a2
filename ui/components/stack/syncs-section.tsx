// The syncs of one stack: state first, what moves where, how many records, and the three things one does with a sync: run it,
// pause it, look at its runs.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import type { Sync } from '../../../server/http/contract/stack.ts'
import { Button, count, Empty, Problem, Waiting } from '../basics.tsx'
import { type Column, Table } from '../list.tsx'
import { runLook, State, syncStates } from '../state.tsx'
import { Time } from '../time.tsx'
import { NewSyncForm } from './new-sync.tsx'
import { outboundWords } from './outbound-fields.tsx'
import { useConnections, useRefresh, useStack, useSyncs } from './stack-view.tsx'

/** 'Contentstack -> PostgreSQL'. */
export function direction({ direction, system }: Pick<Sync, 'direction' | 'system'>): string {
  return direction === 'outbound' ? `Contentstack -> ${system}` : `${system} -> Contentstack`
}

export function SyncsSection({ primary = false }: { primary?: boolean }) {
  const { can } = useStack()
  const [before, setBefore] = useState<string | null>(null)
  const syncs = useSyncs(before)
  const connections = useConnections()
  const [adding, setAdding] = useState(false)
  const items = syncs.data?.items ?? []
  const possible = can.configure && (connections.data?.items.length ?? 0) > 0
  const add = (
    <Button look={primary ? 'primary' : 'secondary'} onClick={() => setAdding(true)}>
      Create sync
    </Button>
  )

  return (
    <section className="section" aria-labelledby="syncs-heading">
      <div className="row-apart">
        <h2 id="syncs-heading">Syncs</h2>
        {possible && items.length > 0 && !adding ? add : null}
      </div>
      {adding ? <NewSyncForm onClose={() => setAdding(false)} /> : null}
      {syncs.data ? (
        items.length > 0 ? (
          <Table
            label="Syncs"
            rows={items}
            rowKey={sync => sync.id}
            columns={[...syncColumns(), { title: 'Actions', render: sync => <SyncActions sync={sync} /> }]}
          />
        ) : adding ? null : (
          <Empty action={possible ? add : null}>
            {possible || !can.configure
              ? 'Syncs will stand here: each carries one content type between this stack and a connected system.'
              : 'Syncs will stand here. The first one needs a connection to carry records to or from.'}
          </Empty>
        )
      ) : syncs.error ? (
        <Problem error={syncs.error} retry={() => void syncs.refetch()} />
      ) : (
        <Waiting label="syncs" />
      )}
      {before || syncs.data?.next ? (
        <nav className="pages" aria-label="Pages of syncs">
          {before ? <Button onClick={() => setBefore(null)}>Newest</Button> : null}
          {syncs.data?.next ? <Button onClick={() => setBefore(syncs.data.next)}>Older</Button> : null}
        </nav>
      ) : null}
    </section>
  )
}

/** The columns by which a sync is known everywhere. `to` leads to its page. */
export function syncColumns(to?: (sync: Sync) => string): Column<Sync>[] {
  return [
    {
      title: 'State',
      render: sync => (
        <>
          <State of={syncStates[sync.state]} />
          {sync.pausedReason ? <p className="meta">{sync.pausedReason}</p> : null}
        </>
      )
    },
    {
      title: 'Sync',
      render: sync => (
        <>
          <SyncLink sync={sync} to={to} />
          <p className="meta">{direction(sync)}</p>
        </>
      )
    },
    {
      title: 'Content type, table',
      render: sync => (
        <>
          {sync.contentType}
          <p className="meta">
            <code>{sync.target}</code>
          </p>
          {outboundWords(sync) === '' ? null : <p className="meta">{outboundWords(sync)}</p>}
        </>
      )
    },
    { title: 'Records', number: true, render: sync => count(sync.records.synced) },
    {
      title: 'Failed',
      number: true,
      render: sync => (sync.records.failed > 0 ? <strong className="tone-bad">{count(sync.records.failed)}</strong> : '0')
    },
    {
      title: 'Last run',
      render: sync =>
        sync.lastRun ? (
          <>
            <State of={runLook(sync.lastRun.status)} />
            <p className="meta">
              <Time at={sync.lastRun.finishedAt} none="under way" />
            </p>
          </>
        ) : (
          <span className="muted">none yet</span>
        )
    }
  ]
}

function SyncLink({ sync, to }: { sync: Sync; to: ((sync: Sync) => string) | undefined }) {
  if (to) return <Link to={to(sync)}>{sync.name}</Link>
  return <StackSyncLink sync={sync} />
}

function StackSyncLink({ sync }: { sync: Sync }) {
  const { links } = useStack()
  return <Link to={links.sync(sync.id)}>{sync.name}</Link>
}

export function SyncActions({ sync }: { sync: Sync }) {
  const { api, can } = useStack()
  const refresh = useRefresh()
  const run = useMutation({ mutationFn: () => api.runSync(sync.id), onSettled: refresh })
  const change = useMutation({ mutationFn: (state: 'active' | 'paused') => api.changeSync(sync.id, { state }), onSettled: refresh })
  if (!can.run) return null
  const paused = sync.state === 'paused'
  return (
    <div className="stack-tight">
      <div className="actions">
        {paused || sync.state === 'running' ? null : (
          <Button look="plain" aria-label={`Run now: ${sync.name}`} busy={run.isPending && 'Starting…'} onClick={() => run.mutate()}>
            Run now
          </Button>
        )}
        <Button
          look="plain"
          aria-label={`${paused ? 'Resume' : 'Pause'}: ${sync.name}`}
          busy={change.isPending && (paused ? 'Resuming…' : 'Pausing…')}
          onClick={() => change.mutate(paused ? 'active' : 'paused')}
        >
          {paused ? 'Resume' : 'Pause'}
        </Button>
      </div>
      <Problem error={run.error ?? change.error} />
    </div>
  )
}
