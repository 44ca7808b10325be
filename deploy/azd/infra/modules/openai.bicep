// Azure OpenAI with its deployments: chat, provisioned chat if wanted, realtime. Keys are switched off.
// Azure OpenAI とデプロイです。キー認証は無効にします。

param name string
param location string
param tags object
param principalId string
param chatModel string
param chatModelVersion string
param chatCapacity int
param chatProvisionedUnits int
param realtimeModel string
param realtimeModelVersion string
param realtimeCapacity int

var openaiUser = '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd'

resource account 'Microsoft.CognitiveServices/accounts@2024-10-01' = {
  name: name
  location: location
  tags: tags
  kind: 'OpenAI'
  sku: { name: 'S0' }
  properties: {
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: 'Enabled'
  }
}

resource chat 'Microsoft.CognitiveServices/accounts/deployments@2024-10-01' = {
  parent: account
  name: 'chat'
  sku: {
    name: 'GlobalStandard'
    capacity: chatCapacity
  }
  properties: {
    model: {
      format: 'OpenAI'
      name: chatModel
      version: chatModelVersion
    }
    versionUpgradeOption: 'NoAutoUpgrade'
  }
}

// An account changes one deployment at a time, hence the order.
resource provisioned 'Microsoft.CognitiveServices/accounts/deployments@2024-10-01' = if (chatProvisionedUnits > 0) {
  parent: account
  name: 'chat-provisioned'
  sku: {
    name: 'GlobalProvisionedManaged'
    capacity: chatProvisionedUnits
  }
  properties: {
    model: {
      format: 'OpenAI'
      name: chatModel
      version: chatModelVersion
    }
    versionUpgradeOption: 'NoAutoUpgrade'
  }
  dependsOn: [chat]
}

resource realtime 'Microsoft.CognitiveServices/accounts/deployments@2024-10-01' = if (!empty(realtimeModel)) {
  parent: account
  name: 'realtime'
  sku: {
    name: 'GlobalStandard'
    capacity: realtimeCapacity
  }
  properties: {
    model: {
      format: 'OpenAI'
      name: realtimeModel
      version: realtimeModelVersion
    }
    versionUpgradeOption: 'NoAutoUpgrade'
  }
  dependsOn: [chat, provisioned]
}

resource uses 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, openaiUser)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', openaiUser)
  }
}

output endpoint string = 'https://${name}.openai.azure.com'
output chatDeployment string = chat.name
output provisionedDeployment string = chatProvisionedUnits > 0 ? 'chat-provisioned' : ''
output realtimeDeployment string = empty(realtimeModel) ? '' : 'realtime'
