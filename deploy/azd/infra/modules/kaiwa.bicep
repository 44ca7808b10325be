// The server: a container app that keeps WebSockets open, and a collector beside it that takes its traces.
// サーバー本体（WebSocket を保つコンテナー アプリ）と、トレースを受け取るコレクターです。

param token string
param location string
param tags object
param image string
param agent string
param identityId string
param clientId string
param registry string
param workspaceName string
param insightsName string
param vaultUri string
param openaiEndpoint string
param chatDeployment string
param provisionedDeployment string
param realtimeDeployment string
param signalrConnectionString string
param database string
param allowedOrigins string
param replicasLeast int
param replicasMost int
param connectionsEach int
param sharesRedis bool

// Provisioned throughput is tier 0: it is used up before anything is paid by the token.
var standard = [
  {
    name: 'standard'
    endpoint: openaiEndpoint
    deployment: chatDeployment
    identity: 'managed'
    client_id: clientId
    tier: 1
  }
]
var provisioned = [
  {
    name: 'provisioned'
    endpoint: openaiEndpoint
    deployment: provisionedDeployment
    models: [chatDeployment]
    identity: 'managed'
    client_id: clientId
    tier: 0
  }
]
var upstreams = empty(provisionedDeployment) ? standard : concat(provisioned, standard)

// Without a realtime deployment the container itself hears and speaks.
var voice = empty(realtimeDeployment) ? [
  {
    name: 'KAIWA_ENGINE'
    value: 'local'
  }
] : [
  {
    name: 'AZURE_OPENAI_ENDPOINT'
    value: openaiEndpoint
  }
  {
    name: 'AZURE_OPENAI_REALTIME_DEPLOYMENT'
    value: realtimeDeployment
  }
]
var shared = sharesRedis ? [
  {
    name: 'KAIWA_REDIS_URL'
    secretRef: 'kaiwa-redis-url'
  }
] : []
var sharedSecrets = sharesRedis ? [
  {
    name: 'kaiwa-redis-url'
    keyVaultUrl: '${vaultUri}secrets/kaiwa-redis-url'
    identity: identityId
  }
] : []
var origins = empty(allowedOrigins) ? [] : [
  {
    name: 'KAIWA_ALLOWED_ORIGINS'
    value: allowedOrigins
  }
]

// OTLP over HTTP is what kaiwa speaks; the agent that Container Apps offer takes gRPC only.
var collector = 'receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:4318"}}}}\nexporters: {azuremonitor: {}}\nservice: {pipelines: {traces: {receivers: [otlp], exporters: [azuremonitor]}}}\n'

// azd makes the app before there is an image of kaiwa, and later changes the image alone. So the first image answers
// the probes on the same port, by the same command.
var start = 'if command -v kaiwa; then exec kaiwa serve "$0"; fi; exec python3 -c "${placeholder}"'
var placeholder = 'from http.server import *\nclass Page(BaseHTTPRequestHandler):\n def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(bytes((75, 10)))\nThreadingHTTPServer((str(), 8000), Page).serve_forever()'

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: workspaceName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource environment 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: 'cae-${token}'
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: workspace.properties.customerId
        sharedKey: workspace.listKeys().primarySharedKey
      }
    }
  }
}

resource app 'Microsoft.App/containerApps@2024-03-01' = {
  name: 'ca-kaiwa-${token}'
  location: location
  tags: union(tags, { 'azd-service-name': 'kaiwa' })
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    managedEnvironmentId: environment.id
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        targetPort: 8000
        transport: 'auto'
        allowInsecure: false
        // Replicas do not reach each other, so a browser stays with the one that has its conversation.
        stickySessions: { affinity: 'sticky' }
      }
      registries: [
        {
          server: registry
          identity: identityId
        }
      ]
      secrets: concat([
        {
          name: 'kaiwa-api-key'
          keyVaultUrl: '${vaultUri}secrets/kaiwa-api-key'
          identity: identityId
        }
        {
          name: 'insights'
          value: insights.properties.ConnectionString
        }
      ], sharedSecrets)
    }
    template: {
      // KAIWA_DRAIN_S, which is 30, and a little more: running answers may finish.
      terminationGracePeriodSeconds: 60
      containers: [
        {
          name: 'kaiwa'
          image: empty(image) ? 'python:3.12.8-slim-bookworm' : image
          command: ['/bin/sh', '-c']
          args: [start, agent]
          resources: {
            cpu: json('1.5')
            memory: '3Gi'
          }
          env: concat([
            {
              name: 'AZURE_CLIENT_ID'
              value: clientId
            }
            {
              name: 'KAIWA_API_KEY'
              secretRef: 'kaiwa-api-key'
            }
            {
              name: 'KAIWA_HOST'
              value: '0.0.0.0'
            }
            {
              name: 'KAIWA_PORT'
              value: '8000'
            }
            {
              name: 'KAIWA_UPSTREAMS'
              value: string(upstreams)
            }
            {
              name: 'KAIWA_CHAT_MODEL'
              value: chatDeployment
            }
            {
              name: 'KAIWA_DATABASE'
              value: database
            }
            {
              name: 'AzureSignalRConnectionString'
              value: signalrConnectionString
            }
            {
              name: 'KAIWA_MAX_SESSIONS'
              value: string(connectionsEach * 2)
            }
            {
              name: 'KAIWA_LOG_FORMAT'
              value: 'json'
            }
            {
              name: 'KAIWA_DRAIN_NOTICE_S'
              value: '10'
            }
            {
              name: 'OTEL_EXPORTER_OTLP_ENDPOINT'
              value: 'http://127.0.0.1:4318'
            }
            {
              name: 'OTEL_SERVICE_NAME'
              value: 'kaiwa'
            }
          ], voice, shared, origins)
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/healthz'
                port: 8000
              }
              periodSeconds: 5
              failureThreshold: 24
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/healthz'
                port: 8000
              }
              periodSeconds: 10
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/readyz'
                port: 8000
              }
              periodSeconds: 5
            }
          ]
        }
        {
          name: 'collector'
          image: 'otel/opentelemetry-collector-contrib:0.116.1'
          args: ['--config=env:COLLECTOR_CONFIG']
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          env: [
            {
              name: 'COLLECTOR_CONFIG'
              value: collector
            }
            {
              name: 'APPLICATIONINSIGHTS_CONNECTION_STRING'
              secretRef: 'insights'
            }
          ]
        }
      ]
      scale: {
        minReplicas: replicasLeast
        maxReplicas: replicasMost
        rules: [
          {
            name: 'connections'
            // An open WebSocket and a running stream each count as one request.
            http: { metadata: { concurrentRequests: string(connectionsEach) } }
          }
        ]
      }
    }
  }
}

output endpoint string = 'https://${app.properties.configuration.ingress.fqdn}'
