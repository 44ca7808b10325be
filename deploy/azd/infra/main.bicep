// kaiwa on Azure Container Apps, and what it talks to. No service has a key: the one identity of the app is let in by
// roles. The only secret is the key of kaiwa's own callers, in Key Vault.
// kaiwa を Azure Container Apps で動かすためのテンプレートです。サービスのキーは使わず、マネージド ID とロールで接続します。

targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the environment, of which the names of all resources are made.')
param environmentName string

@minLength(1)
@description('Where the resources are. The models must be offered there.')
param location string

@secure()
@minLength(32)
@description('The key that callers of kaiwa offer.')
param kaiwaApiKey string

@description('The agent that answers: a bundled one, or module:attribute in an image of your own.')
param agent string = 'rentacar'

@description('The image. azd sets it when it deploys; empty: something that answers until then.')
param image string = ''

@description('Model, version and capacity (thousands of tokens a minute) of the chat deployment.')
param chatModel string = 'gpt-4o-mini'
param chatModelVersion string = '2024-07-18'
param chatCapacity int = 50

@description('Provisioned throughput units of a second chat deployment, which is used up first; 0: none.')
param chatProvisionedUnits int = 0

@description('Model, version and capacity of the realtime deployment; an empty model: none, speech is made in the container.')
param realtimeModel string = 'gpt-realtime'
param realtimeModelVersion string = '2025-08-28'
param realtimeCapacity int = 6

@minValue(1)
@description('Replicas at least. 0 would lose running conversations, and make callers wait for the models.')
param replicasLeast int = 1

@minValue(1)
@maxValue(30)
@description('Replicas at most. More than one share limits and hubs in Azure Managed Redis, which is made then.')
param replicasMost int = 1

@minValue(1)
@description('Conversations and streams at once of one replica; one more starts the next replica.')
param connectionsEach int = 40

@description('Deploy the Azure Functions app of deploy/azure-functions/v2, which streams tokens through SignalR.')
param functionsApp bool = true

@description('Origins of web pages that may connect, with commas between them.')
param allowedOrigins string = ''

var tags = { 'azd-env-name': environmentName }
var token = toLower(uniqueString(subscription().id, environmentName, location))

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
  }
}

module registry 'modules/registry.bicep' = {
  name: 'registry'
  scope: group
  params: {
    name: 'cr${token}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
  }
}

module openai 'modules/openai.bicep' = {
  name: 'openai'
  scope: group
  params: {
    name: 'oai-${token}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    chatModel: chatModel
    chatModelVersion: chatModelVersion
    chatCapacity: chatCapacity
    chatProvisionedUnits: chatProvisionedUnits
    realtimeModel: realtimeModel
    realtimeModelVersion: realtimeModelVersion
    realtimeCapacity: realtimeCapacity
  }
}

module signalr 'modules/signalr.bicep' = {
  name: 'signalr'
  scope: group
  params: {
    name: 'sigr-${token}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    clientId: identity.outputs.clientId
    allowedOrigins: allowedOrigins
  }
}

module cosmos 'modules/cosmos.bicep' = {
  name: 'cosmos'
  scope: group
  params: {
    name: 'cosmos-${token}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    kaiwaApiKey: kaiwaApiKey
  }
}

module redis 'modules/redis.bicep' = if (replicasMost > 1) {
  name: 'redis'
  scope: group
  params: {
    name: 'redis-${token}'
    location: location
    tags: tags
    vaultName: vault.outputs.name
  }
}

module kaiwa 'modules/kaiwa.bicep' = {
  name: 'kaiwa'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    image: image
    agent: agent
    identityId: identity.outputs.id
    clientId: identity.outputs.clientId
    registry: registry.outputs.loginServer
    workspaceName: monitoring.outputs.workspaceName
    insightsName: monitoring.outputs.insightsName
    vaultUri: vault.outputs.uri
    openaiEndpoint: openai.outputs.endpoint
    chatDeployment: openai.outputs.chatDeployment
    provisionedDeployment: openai.outputs.provisionedDeployment
    realtimeDeployment: openai.outputs.realtimeDeployment
    signalrConnectionString: signalr.outputs.connectionString
    database: cosmos.outputs.database
    allowedOrigins: allowedOrigins
    replicasLeast: replicasLeast
    replicasMost: replicasMost
    connectionsEach: connectionsEach
    sharesRedis: replicasMost > 1
  }
  dependsOn: [redis]
}

module functions 'modules/functions.bicep' = if (functionsApp) {
  name: 'functions'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    identityId: identity.outputs.id
    clientId: identity.outputs.clientId
    principalId: identity.outputs.principalId
    insightsName: monitoring.outputs.insightsName
    vaultUri: vault.outputs.uri
    kaiwaEndpoint: kaiwa.outputs.endpoint
    chatDeployment: openai.outputs.chatDeployment
    signalrEndpoint: signalr.outputs.endpoint
    allowedOrigins: allowedOrigins
  }
}

// azd puts these into its environment (azd env get-values). The names are those that kaiwa itself reads, so
// that a kaiwa on your own machine, signed in by az login, talks to the same services.
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = registry.outputs.loginServer
output AZURE_OPENAI_ENDPOINT string = openai.outputs.endpoint
output AZURE_OPENAI_CHAT_DEPLOYMENT string = openai.outputs.chatDeployment
output AZURE_OPENAI_REALTIME_DEPLOYMENT string = openai.outputs.realtimeDeployment
output KAIWA_DATABASE string = cosmos.outputs.database
output KAIWA_SIGNALR string = signalr.outputs.connectionStringOfOthers
output SERVICE_KAIWA_ENDPOINT_URL string = kaiwa.outputs.endpoint
