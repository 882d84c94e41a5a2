// One installation: the same panels that a stack admin has in the CMS, seen from the operator's side.
import { Link } from 'react-router'
import { count, Id, Notice } from '../../components/basics.tsx'
import { AlertsSection } from '../../components/stack/alerts-section.tsx'
import { ConnectionsSection } from '../../components/stack/connections-section.tsx'
import { KeysSection } from '../../components/stack/keys-section.tsx'
import { LeaveSection } from '../../components/stack/leave-section.tsx'
import { Predecessors } from '../../components/stack/predecessors.tsx'
import { SyncsSection } from '../../components/stack/syncs-section.tsx'
import { TokenSection } from '../../components/stack/token-section.tsx'
import { WebhooksSection } from '../../components/stack/webhooks-section.tsx'
import { RunsSection } from '../../components/stack/runs.tsx'
import { useDeadJobs, useStack } from '../../components/stack/stack-view.tsx'
import { installationLook, State } from '../../components/state.tsx'
import { Time } from '../../components/time.tsx'
import { PageHead } from '../frame.tsx'
import { ConsoleStack } from './console-stack.tsx'
import { Ended } from './ended.tsx'

export function InstallationPage() {
  return (
    <ConsoleStack title="Installation">
      {installation => (
        <>
          <PageHead title={installation.stackName || 'Unnamed stack'} trail={<Link to="/installations">Installations</Link>}>
            <p>
              <State of={installationLook(installation)} />
            </p>
          </PageHead>
          {installation.hold && installation.token?.status !== 'dead' && installation.status === 'active' ? (
            <Notice tone="wait" title={installation.hold.reason}>
              <p>
                On hold since <Time at={installation.hold.since} />. Its jobs wait; nothing is lost.
              </p>
            </Notice>
          ) : null}
          {installation.status === 'unclaimed' ? (
            <Notice tone="wait" title="Its organization is not on the list of this Quayside, so it stays idle.">
              <p>Add {installation.organizationUid} to the organizations in the settings to serve it.</p>
            </Notice>
          ) : null}
          <dl className="facts">
            <dt>Organization</dt>
            <dd>
              {installation.organizationName} <Id value={installation.organizationUid} />
            </dd>
            <dt>Region</dt>
            <dd>{installation.region}</dd>
            <dt>Stack API key</dt>
            <dd>
              <Id value={installation.stackApiKey} />
            </dd>
            <dt>Installed</dt>
            <dd>
              <Time at={installation.createdAt} />
            </dd>
            <dt>Installation</dt>
            <dd>
              <Id value={installation.id} />
            </dd>
          </dl>
          {installation.status === 'uninstalled' ? (
            <Ended />
          ) : (
            <>
              <TokenSection />
              <Predecessors />
              <ConnectionsSection />
              <SyncsSection />
              <WebhooksSection />
              <KeysSection />
              <AlertsSection />
              <RunsSection title="Latest runs" />
            </>
          )}
          <LeaveSection />
          <p>
            <FailedJobsLink />, <Link to={`/deliveries?installation=${installation.id}`}>Deliveries</Link> and{' '}
            <Link to={`/audit?installation=${installation.id}`}>audit</Link> of this installation.
          </p>
        </>
      )}
    </ConsoleStack>
  )
}

/** How many jobs the background gave up on; where it is a page full, more than that. */
function FailedJobsLink() {
  const { id } = useStack()
  const { data } = useDeadJobs()
  const many = data ? ` (${count(data.items.length)}${data.next === null ? '' : ' and more'})` : ''
  return <Link to={`/jobs?installation=${id}`}>Failed jobs{many}</Link>
}
