// One sync: what it carries where, its state, and its runs.
import { count, Id, Problem, Waiting } from '../basics.tsx'
import { State, syncStates } from '../state.tsx'
import { Time } from '../time.tsx'
import { DriftSection, PlansSection } from './care-section.tsx'
import { InboundFacts, PushDoor } from './inbound-options.tsx'
import { outboundWords } from './outbound-fields.tsx'
import { RunsSection } from './runs.tsx'
import { useSync } from './stack-view.tsx'
import { SyncMapping } from './sync-mapping.tsx'
import { direction, SyncActions } from './syncs-section.tsx'

export function SyncView({ syncId }: { syncId: string }) {
  const query = useSync(syncId)
  const sync = query.data
  if (!sync)
    return query.error ? <Problem error={query.error} retry={() => void query.refetch()} /> : <Waiting label="the sync" lines={6} />
  const carried = outboundWords({ ...sync, branch: 'main' })
  return (
    <>
      <section className="panel" aria-label="Sync">
        <div className="panel-body">
          <div className="row-apart">
            <State of={syncStates[sync.state]} />
            <SyncActions sync={sync} />
          </div>
          {sync.pausedReason ? <p className="muted">{sync.pausedReason}</p> : null}
          <dl className="facts">
            <dt>Direction</dt>
            <dd>{direction(sync)}</dd>
            <dt>Connection</dt>
            <dd>{sync.connectionName}</dd>
            <dt>Content type</dt>
            <dd>{sync.contentType}</dd>
            <dt>Table</dt>
            <dd>
              <code>{sync.target}</code>
            </dd>
            <dt>Branch</dt>
            <dd>{sync.branch}</dd>
            {carried === '' ? null : (
              <>
                <dt>Entries</dt>
                <dd>{carried}</dd>
              </>
            )}
            <dt>Locales</dt>
            <dd>{sync.locales.length > 0 ? sync.locales.join(', ') : 'all of the stack'}</dd>
            <dt>Records</dt>
            <dd>
              {count(sync.records.synced)} synced, {count(sync.records.failed)} failed
            </dd>
            {sync.externalIdField ? (
              <>
                <dt>Recognised by</dt>
                <dd>
                  <code>{sync.externalIdField}</code>
                </dd>
              </>
            ) : null}
            {sync.inbound ? <InboundFacts inbound={sync.inbound} /> : null}
            {sync.schedule ? (
              <>
                <dt>Next run</dt>
                <dd>
                  <Time at={sync.schedule.nextAt} />{' '}
                  <span className="meta">
                    ({sync.schedule.cron}, {sync.schedule.timeZone})
                  </span>
                </dd>
              </>
            ) : null}
            <dt>Sync</dt>
            <dd>
              <Id value={sync.id} />
            </dd>
          </dl>
          {sync.direction === 'inbound' ? <PushDoor sync={sync} /> : null}
          {sync.mapping.length > 0 ? <SyncMapping sync={sync} /> : null}
        </div>
      </section>
      <RunsSection sync={sync.id} />
      <PlansSection sync={sync} />
      <DriftSection sync={sync} />
    </>
  )
}
