"""What a webhook answers so that the SIP identity arrives at the websocket."""
