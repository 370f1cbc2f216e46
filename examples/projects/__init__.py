"""Other people's projects with their own dropout and with fastdrop's: who gains what?"""
